import ArgumentParser
import Clocks
import Flows
import JSON
import KubernetesAPI
import NodeAPI

extension PolicyVerb {
  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tell which recorded flows policies would newly deny or allow, before they are applied.",
      discussion: """
        The agent compiles the policies of the files together with those in force and judges the flows it has recorded, \
        or those of a file of `hubble observe -o json`. Nothing is applied. A policy of the same name is replaced.
        Exit codes: 0 nothing is newly denied, 1 something is, 2 wrong use, 3 no agent.
        Example: martlet policy diff policy.yaml --against-flows --since 1h
        """)

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Judge the flows that the agent has recorded (the default).")
    var againstFlows = false

    @Option(help: "Only flows of the last 30s, 10m, 1h.", transform: parseDuration)
    var since: Duration?

    @Option(help: "Judge the flows of this file instead: Hubble's JSON, one flow a line; - is the standard input.")
    var flows: String?

    @Argument(help: "Files of policies; - is the standard input.")
    var files: [String]

    func run() throws {
      var request: JSONValue = ["documents": .array(try documents())]
      if let since {
        let ago = since.components.seconds * 1_000_000_000 + since.components.attoseconds / 1_000_000_000
        request["since"] = .integer(Int64(clamping: Timestamp.now()) - ago)
      }
      if let flows { request["flows"] = .array(try recorded(flows)) }
      let difference = try instance.directory.ask { client throws(NodeError) in
        try client.post("/v1/policies/diff", request, as: PolicyDifference.self)
      }
      output.print(difference.json) { _ in
        var table = Table("CHANGE", "FROM", "TO", "SERVICE", "REQUEST", "FLOWS", "REASON")
        for entry in difference.entries {
          table.add(
            entry.change.rawValue, entry.from, entry.to, entry.service, entry.request ?? "-", String(entry.count),
            entry.reason)
        }
        let lines = difference.issues.map { "warning: \($0)" } + (table.isEmpty ? [] : [table.text])
        return (lines + ["\(difference.unchanged) flows are decided as before"]).joined(separator: "\n")
      }
      if difference.entries.contains(where: { $0.change == .denied }) { throw Exit.no }
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
