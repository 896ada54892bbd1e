import ArgumentParser
import JSON
import NodeAPI

struct Why: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain why a connection, a request or a query for a name is allowed or denied.",
    discussion: """
      The verdict is the loaded program's, against the live maps; the words are about the policies that select both ends, \
      and what would have to change. Nothing is sent.
      Example: martlet why default/a default/b:9080 GET /api -H 'X-Token: 1'
      Example: martlet why default/a 192.0.2.1:53/UDP www.example.com
      Example: martlet why default/a 192.0.2.1:443 --server-name www.example.com
      """)

  @OptionGroup var instance: InstanceOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Show also the policies that say nothing of it.")
  var all = false

  @Argument(help: "NAMESPACE/POD, an IP address, or host (this node), remote-node, kube-apiserver, world.")
  var from: String

  @Argument(help: "As FROM, with :PORT[/PROTOCOL]; a port's number or name, TCP unless it says otherwise.")
  var to: String

  @Argument(help: "A request on the connection: METHOD and PATH, or PATH alone; or a NAME that is asked for by DNS.")
  var request: [String] = []

  @Option(name: [.customShort("H"), .customLong("header")], help: "A header of the request, as 'Name: value'.")
  var headers: [String] = []

  @Option(help: "Instead of a request, the name in the client's ClientHello (TLS).")
  var serverName: String?

  func run() throws {
    let destination = try Destination(to)
    guard serverName == nil || request.isEmpty else {
      throw ValidationError("--server-name is about TLS: leave \"\(request.joined(separator: " "))\" out")
    }
    guard request.count <= 2 else {
      throw ValidationError("\"\(request.joined(separator: " "))\" is not METHOD PATH, as in GET /api")
    }
    // Names and paths can not be taken for each other: a path begins with a slash.
    let name = request.count == 1 ? request.first { !$0.hasPrefix("/") && $0 != "*" } : nil
    let path = name == nil ? request.last : nil
    if let path, !path.hasPrefix("/"), path != "*" {
      throw ValidationError("\"\(path)\" is not a path: it does not begin with /")
    }
    let question = TraceRequest(
      from: from, to: destination.host, port: destination.port, protocol: destination.protocol,
      method: request.count == 2 ? request[0] : path == nil ? nil : "GET", path: path,
      headers: try headerFields(headers), query: name, serverName: serverName,
      portName: destination.portName)
    let answer = try instance.directory.ask { client throws(NodeError) in
      try client.post("/v1/why", question, as: Explanation.self)
    }
    output.print(answer.json) { wide in
      ExplanationText(answer, of: question, wide: wide, all: all || wide).text
    }
    if answer.verdict.mayBeDenied { throw Exit.no }
  }
}

/// `HOST:PORT[/PROTOCOL]`, the host a pod's name or an address; IPv6 in brackets; the port a number or a name.
struct Destination {
  let host: String
  /// 0 where it has a name.
  let port: UInt16
  let portName: String?
  let `protocol`: String

  init(_ text: String) throws {
    let wrong = ValidationError(
      "\"\(text)\" is not HOST:PORT[/PROTOCOL], as in default/web:80, 192.0.2.1:53/UDP or [2001:db8::1]:443")
    guard let colon = text.lastIndex(of: ":") else { throw wrong }
    let place = text[text.index(after: colon)...].split(separator: "/", omittingEmptySubsequences: false)
    guard let written = place.first, place.count <= 2 else { throw wrong }
    let number = UInt16(written)
    guard number != nil || isPortName(written) else { throw wrong }
    var name = text[..<colon]
    if name.hasPrefix("["), name.hasSuffix("]") {
      name = name.dropFirst().dropLast()
    } else if name.contains(":"), !name.hasPrefix("reserved:") {
      throw wrong
    }
    // `reserved:host` alone is a host without a port.
    guard !name.isEmpty, name != "reserved" else { throw wrong }
    host = String(name)
    port = number ?? 0
    portName = number == nil ? String(written) : nil
    self.protocol = place.count == 2 ? String(place[1]) : "TCP"
  }
}

/// Whether a port may have this name (RFC 6335, 5.1).
func isPortName(_ text: some StringProtocol) -> Bool {
  (1...15).contains(text.utf8.count) && text.contains { $0.isASCII && $0.isLetter }
    && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    && !text.hasPrefix("-") && !text.hasSuffix("-") && !text.contains("--")
}

/// An explanation as a person reads it.
struct ExplanationText {
  private var lines: [String] = []
  private let wide: Bool
  private let all: Bool

  var text: String { lines.joined(separator: "\n") }

  init(_ answer: Explanation, of question: TraceRequest, wide: Bool, all: Bool) {
    (self.wide, self.all) = (wide, all)
    let request =
      question.serverName.map { " TLS to \($0)" } ?? question.query.map { " query \($0)" } ?? question.method.map {
        " \($0) \(question.path ?? "/")"
      } ?? ""
    lines.append(
      "\(question.from) -> \(question.to) \(question.portName ?? "\(question.port)")/\(question.protocol)\(request): "
        + answer.verdict.title(answer.stages.map(\.step)).uppercased())
    for (name, end) in [("from", answer.source), ("to", answer.destination)] {
      lines.append("  \(name) \(end.name), \(end.address), identity \(end.identity): \(labels(end.labels))")
      if !end.names.isEmpty { lines.append("    answered for \(end.names.joined(separator: ", "))\(patterns(end))") }
    }
    for stage in answer.stages { add(stage) }
    guard !answer.remedies.isEmpty else { return }
    lines += ["", "to allow it" + (answer.remedies.count > 1 ? ", one of" : "") + ":"]
    for remedy in answer.remedies {
      lines.append("  - \(remedy.text)" + (remedy.yaml == nil ? "" : ":"))
      for line in remedy.yaml?.split(separator: "\n") ?? [] { lines.append("      \(line)") }
    }
  }

  private mutating func add(_ stage: Explanation.Stage) {
    lines += ["", "\(stage.step.stage): \(stage.step.verdict.rawValue), \(stage.step.reason)"]
    if let rule = stage.step.rule { lines.append("  decided by \(rule.object) \(rule.path)") }
    // Many that say nothing of it would hide those that do.
    func isMute(_ policy: Explanation.Policy) -> Bool {
      !policy.rules.contains(where: \.matches) && policy.problems.isEmpty && policy.object != stage.step.rule?.object
    }
    let mute = stage.policies.filter(isMute)
    let hides = !all && mute.count > ExplanationText.mutePolicies
    for policy in stage.policies where !hides || !isMute(policy) {
      lines.append(
        "  \(policy.object)" + (policy.deniesByDefault ? ", denies what no rule allows" : "")
          + (policy.description.isEmpty ? "" : ": \(policy.description)"))
      // The rules that speak of it say most; the others follow when asked for, or when there is nothing else to say.
      let speaking = policy.rules.filter(\.matches)
      let shown = wide || speaking.isEmpty ? policy.rules : speaking
      for rule in shown.prefix(wide ? .max : 10) {
        lines.append("    \(rule.matches ? "*" : "-") \(rule.path) (\(rule.effect)): \(rule.reason)")
      }
      if shown.count > 10, !wide { lines.append("    … \(shown.count - 10) more; -o wide shows them") }
      for problem in policy.problems { lines.append("    ! \(problem)") }
    }
    if hides {
      let closing = mute.count(where: \.deniesByDefault)
      lines.append(
        "  … \(mute.count) more policies say nothing of it, \(closing) of them deny what no rule allows; --all lists them"
      )
    }
  }

  /// So many policies that say nothing of a connection are shown all the same.
  private static let mutePolicies = 5

  /// By which patterns of policies the address is known.
  private func patterns(_ end: Explanation.End) -> String {
    let patterns = end.labels.filter { $0.hasPrefix("fqdn:") }.map { label in
      String(label.dropFirst("fqdn:".count).prefix { $0 != "=" })
    }
    return patterns.isEmpty
      ? ", which no toFQDNs means" : ", which toFQDNs \(patterns.joined(separator: " and ")) means"
  }

  /// A pod's own labels; those derived from its place only where asked for.
  private func labels(_ labels: [String]) -> String {
    let shown = wide ? labels : labels.filter { !$0.contains("io.cilium.k8s.") && !$0.contains("io.kubernetes.pod.") }
    return (shown.isEmpty ? labels : shown).map { label in
      // A label without a value, as a person writes it.
      label.hasSuffix("=") ? String(label.dropLast()) : label
    }.joined(separator: " ")
  }
}

extension TraceResult.Verdict {
  /// As a person reads it, with what audit mode did.
  func title(_ steps: [TraceResult.Step]) -> String {
    switch self {
    case .mixed: "allowed or denied, as the backend is"
    default: rawValue + (!mayBeDenied && steps.contains(where: \.isAudited) ? ", audited" : "")
    }
  }
}
