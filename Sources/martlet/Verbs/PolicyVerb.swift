import ArgumentParser
import JSON
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct PolicyVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "What the policies do.", discussion: "Example: martlet policy get",
    subcommands: [Get.self, Trace.self, Wait.self, Validate.self, Diff.self],
    defaultSubcommand: Get.self)

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the policies and what became of each.", discussion: "Example: martlet policy get -o json")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let policies = try instance.directory.ask { client throws(NodeError) in
        try client.get("/v1/policies", listOf: PolicyStatus.self)
      }
      output.print(.array(policies.map(\.json))) { _ in
        var table = Table("KIND", "POLICY", "STATE", "ENDPOINTS", "PROBLEMS")
        for policy in policies {
          table.add(
            policy.kind, [policy.namespace, policy.name].compactMap { $0 }.joined(separator: "/"),
            policy.state.rawValue, String(policy.endpointCount),
            policy.problems.map { "\($0.path): \($0.message)" }.joined(separator: "; "))
        }
        return table.text
      }
    }
  }

  struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Wait until every policy of the API is in force on this node.",
      discussion: "Example: kubectl apply -f policy.yaml && martlet policy wait")

    @OptionGroup var instance: InstanceOptions

    @Option(help: "How long to wait: 500ms, 30s, 2m.", transform: parseDuration)
    var timeout = Duration.seconds(30)

    func run() throws {
      let deadline = ContinuousClock.now + timeout
      while true {
        let answer = try instance.directory.ask { client throws(NodeError) in try client.get("/v1/policies/pending") }
        let pending = answer["pending"]?.arrayValue?.compactMap(\.stringValue) ?? []
        if pending.isEmpty { return }
        guard ContinuousClock.now < deadline else {
          complain("not in force yet: \(pending.joined(separator: ", "))")
          throw Exit.no
        }
        usleep(5000)
      }
    }
  }

  struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ask the loaded program what it would do with a connection, a request or a query.",
      discussion: """
        Nothing is sent: the program in the kernel judges a packet made for it, against the live maps.
        Example: martlet policy trace --from default/a --to default/b --port 9080/TCP --method GET --path /api -H 'X-A: 1'
        Example: martlet policy trace --from default/a --to 192.0.2.1 --port 53/UDP --dns www.example.com
        Example: martlet policy trace --from default/a --to 192.0.2.1 --port 443/TCP --server-name www.example.com
        Example: martlet policy trace --questions questions.jsonl
        """)

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "NAMESPACE/POD, an IP address, or host, remote-node, kube-apiserver, world.")
    var from: String?

    @Option(help: "NAMESPACE/POD, an IP address, or host, remote-node, kube-apiserver, world.")
    var to: String?

    @Option(help: "PORT/PROTOCOL: 9080/TCP, http/TCP, 53/UDP; for ICMP the type: 8/ICMP.")
    var port: String?

    @Option(help: "The request's method.")
    var method: String?

    @Option(help: "The request's path and query.")
    var path: String?

    @Option(name: [.customShort("H"), .customLong("header")], help: "A header of the request, as 'Name: value'.")
    var headers: [String] = []

    @Option(help: "Instead of a request, the name that is asked for by DNS.")
    var dns: String?

    @Option(help: "Instead of a request, the name in the client's ClientHello (TLS).")
    var serverName: String?

    @Option(
      help: ArgumentHelp(
        "Instead of all of these, a file with one question a line as the node API has them; - is the standard input.",
        valueName: "file"))
    var questions: String?

    func run() throws {
      if let questions { return try askAll(questions) }
      guard let from, let to, let port else { throw ValidationError("--from, --to and --port are needed") }
      guard dns == nil || (method == nil && path == nil) else {
        throw ValidationError("--dns is about a query, --method and --path are about a request: give one of them")
      }
      guard serverName == nil || (dns == nil && method == nil && path == nil) else {
        throw ValidationError("--server-name is about TLS: leave --dns, --method and --path out")
      }
      let parts = port.split(separator: "/", omittingEmptySubsequences: false)
      let number = UInt16(parts[0])
      guard number != nil || isPortName(parts[0]), parts.count <= 2 else {
        throw ValidationError("--port: \"\(port)\" is not PORT/PROTOCOL, as in 9080/TCP or http/TCP")
      }
      let request = TraceRequest(
        from: from, to: to, port: number ?? 0, protocol: parts.count == 2 ? String(parts[1]) : "TCP",
        method: method ?? (path == nil ? nil : "GET"), path: path, headers: try headerFields(headers), query: dns,
        serverName: serverName, portName: number == nil ? String(parts[0]) : nil)
      let result = try instance.directory.ask { client throws(NodeError) in
        try client.post("/v1/trace", request, as: TraceResult.self)
      }
      output.print(result.json) { _ in
        result.steps.map { step in
          let cited = step.rule.map { "\n    by \($0.object) \($0.path)" } ?? ""
          return "\(step.stage): \(step.verdict.rawValue), \(step.reason)\(cited)"
        }.joined(separator: "\n") + "\nverdict: \(result.verdict.title(result.steps))"
      }
      if result.verdict.mayBeDenied { throw Exit.no }
    }

    /// One answer a line, in the order of the questions.
    private func askAll(_ file: String) throws {
      guard from == nil, to == nil, port == nil, dns == nil, serverName == nil, method == nil, path == nil,
        headers.isEmpty
      else {
        throw ValidationError("--questions has the questions in its file: leave the others out")
      }
      let asked: [JSONValue]
      do {
        asked = try InputText.read(file).split(separator: "\n").map { try JSONValue(parsing: String($0)) }
      } catch {
        complain("\(file): \(error)")
        throw Exit.usage
      }
      let answers = try instance.directory.ask { client throws(NodeError) in
        try client.post("/v1/trace", .array(asked))
      }
      for answer in answers.arrayValue ?? [] { print(answer.text()) }
    }
  }
}

/// Reads `Name: value` lines.
func headerFields(_ lines: [String]) throws -> [String: String] {
  var fields: [String: String] = [:]
  for line in lines {
    guard let colon = line.firstIndex(of: ":") else {
      throw ValidationError("--header: \"\(line)\" is not 'Name: value'")
    }
    fields[String(line[..<colon])] = String(line[line.index(after: colon)...].drop { $0 == " " })
  }
  return fields
}
