import ArgumentParser
import Clocks
import Flows
import JSON
import KubernetesAPI
import NodeAPI
import Policy

extension PolicyVerb {
  struct Diff: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tell which recorded flows policies would newly deny or allow, before they are applied.",
      discussion: """
        The agent compiles the policies of the files together with those in force and judges the flows it has recorded, \
        or those of a file of `hubble observe -o json`. Nothing is applied. A policy of the same name is replaced.
        With --audit the policies are applied, with the annotation \(PolicyMode.annotation): \(PolicyMode.audit.rawValue). \
        They change nothing of what is allowed or denied; `martlet observe --verdict AUDIT` shows what they would deny. \
        Without the annotation they are enforced: `kubectl apply -f` of the same file takes it away. Recorded flows are \
        then judged only where --against-flows, --since or --flows asks for it.
        Exit codes: 0 nothing is newly denied, 1 something is, or a policy can not be applied, 2 wrong use, 3 no agent.
        Example: martlet policy diff policy.yaml --against-flows --since 1h
        Example: martlet policy diff policy.yaml --audit && martlet observe --verdict AUDIT --follow
        """)

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Judge the flows that the agent has recorded (the default).")
    var againstFlows = false

    @Option(help: "Only flows of the last 30s, 10m, 1h.", transform: parseDuration)
    var since: Duration?

    @Option(help: "Judge the flows of this file instead: Hubble's JSON, one flow a line; - is the standard input.")
    var flows: String?

    @Flag(help: "Apply the policies, only watching: what they would deny is told and let through.")
    var audit = false

    @Argument(help: "Files of policies; - is the standard input.")
    var files: [String]

    func run() async throws {
      let documents = try documents()
      let difference = !audit || againstFlows || since != nil || flows != nil ? try difference(documents) : nil
      let audited = audit ? try await apply(documents) : nil
      var document = difference?.json ?? [:]
      document["audited"] = audited.map { .array($0.map(\.json)) }
      output.print(document) { _ in
        let lines = (audited ?? []).flatMap { policy in
          policy.problems.map { "warning: \(policy.title) \($0.path): \($0.message)" }
            + ["\(policy.title): \(policy.state.rawValue), endpoints selected here: \(policy.endpointCount)"]
        }
        return ((difference?.lines ?? []) + lines).joined(separator: "\n")
      }
      if difference?.entries.contains(where: { $0.change == .denied }) == true { throw Exit.no }
    }

    private func difference(_ documents: [JSONValue]) throws -> PolicyDifference {
      var request: JSONValue = ["documents": .array(documents)]
      if let since {
        let ago = since.components.seconds * 1_000_000_000 + since.components.attoseconds / 1_000_000_000
        request["since"] = .integer(Int64(clamping: Timestamp.now()) - ago)
      }
      if let flows { request["flows"] = .array(try recorded(flows)) }
      return try instance.directory.ask { client throws(NodeError) in
        try client.post("/v1/policies/diff", request, as: PolicyDifference.self)
      }
    }

    /// Returns when the node watches them.
    private func apply(_ documents: [JSONValue]) async throws -> [PolicyStatus] {
      let applied: [ObjectKey]
      do {
        applied = try await PolicyAudit(client: try apiClient(instance)).apply(documents)
      } catch let error as KubernetesError {
        complain("\(error)")
        if error.code == nil { complain("is `martlet up` running?") }
        throw error.code == nil ? Exit.unreachable : Exit.no
      } catch let error as PolicyAudit.Failure {
        complain("\(error)")
        throw Exit.usage
      } catch let error as FieldError {
        complain("\(error)")
        throw Exit.usage
      }
      let names = Set(applied.map(\.description))
      let deadline = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < deadline {
        let answer = try instance.directory.ask { client throws(NodeError) in try client.get("/v1/policies/pending") }
        let pending = answer["pending"]?.arrayValue?.compactMap(\.stringValue) ?? []
        if names.isDisjoint(with: pending) { return try statuses(of: applied) }
        try await Task.sleep(for: .milliseconds(10))
      }
      complain("the agent does not watch them yet: \(names.sorted().joined(separator: ", "))")
      throw Exit.no
    }

    private func statuses(of applied: [ObjectKey]) throws -> [PolicyStatus] {
      let statuses = try instance.directory.ask { client throws(NodeError) in
        try client.get("/v1/policies", listOf: PolicyStatus.self)
      }
      return statuses.filter { applied.contains(ObjectKey(kind: $0.kind, namespace: $0.namespace, name: $0.name)) }
    }

    private func documents() throws -> [JSONValue] {
      try files.flatMap { file in
        do {
          return try YAMLDocument.parse(try InputText.read(file)).flatMap { document in
            document.value["items"]?.arrayValue ?? [document.value]
          }
        } catch {
          complain(file == "-" ? "\(error)" : "\(file): \(error)")
          throw Exit.usage
        }
      }
    }

    private func recorded(_ file: String) throws -> [JSONValue] {
      do {
        let lines = try InputText.read(file).split(separator: "\n").map { try JSONValue(parsing: String($0)) }
        // Observers tell of flows that they lost in between.
        return lines.filter { $0["lost_events"] == nil }
      } catch {
        complain("\(file): \(error)")
        throw Exit.usage
      }
    }
  }
}

extension PolicyDifference {
  fileprivate var lines: [String] {
    var table = Table("CHANGE", "FROM", "TO", "SERVICE", "REQUEST", "FLOWS", "REASON")
    for entry in entries {
      table.add(
        entry.change.rawValue, entry.from, entry.to, entry.service, entry.request ?? "-", String(entry.count),
        entry.reason)
    }
    return issues.map { "warning: \($0)" } + (table.isEmpty ? [] : [table.text])
      + ["\(unchanged) flows are decided as before"]
  }
}

extension PolicyStatus {
  fileprivate var title: String { "\(kind) \([namespace, name].compactMap { $0 }.joined(separator: "/"))" }
}
