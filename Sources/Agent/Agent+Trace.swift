import Addressing
import CMartletABI
import Datapath
import Flows
import Identity
import JSON
import NodeAPI
import Policy
import ProxyRules

/// A connection, and what is said on it, as the loaded program and the rules of the proxy judged it.
struct Judgement {
  /// What one part of the way said; `direction` is nil for the judgement of what is said.
  struct Stage {
    let direction: Direction?
    let step: TraceResult.Step
    /// The rules that judged what is said.
    var ruleSet: RuleSet?
  }

  let source: TraceEnd
  let destination: TraceEnd
  let ipProtocol: UInt8
  let result: TraceResult.Verdict
  let stages: [Stage]

  /// Between a node that no policy selects and the outside.
  static func unjudged(
    _ request: TraceRequest, _ source: TraceEnd, _ destination: TraceEnd, _ ipProtocol: UInt8
  ) -> Judgement {
    let direction: Direction = source.isNode ? .egress : .ingress
    let step = TraceResult.Step(
      stage: direction == .egress ? "egress of \(request.from)" : "ingress of \(request.to)", verdict: .allowed,
      reason: "no policy selects this node", rule: nil)
    return Judgement(
      source: source, destination: destination, ipProtocol: ipProtocol, result: .allowed,
      stages: [Stage(direction: direction, step: step)])
  }
}

extension Agent {
  /// What the loaded program says about a connection, and the proxy's rules about what is said on it.
  func trace(_ request: TraceRequest) async throws -> TraceResult {
    let judgement = try await judge(request)
    return TraceResult(verdict: judgement.result, steps: judgement.stages.map(\.step))
  }

  /// As `trace`, of one question or of an array of them; what can not be answered is `{"error": …}` among the answers.
  func traces(_ cursor: JSONCursor) async throws -> JSONValue {
    guard cursor.value.arrayValue != nil else { return try await trace(TraceRequest(decoding: cursor)).json }
    var answers: [JSONValue] = []
    for question in try cursor.elements() {
      let request = try TraceRequest(decoding: question)
      do { answers.append(try await trace(request).json) } catch { answers.append(["error": .string("\(error)")]) }
    }
    return .array(answers)
  }

  /// Asks the loaded program about a connection, and the proxy's rules about what is said on it.
  func judge(_ request: TraceRequest) async throws -> Judgement {
    guard let transport = TransportProtocol(name: request.protocol) else {
      throw TraceError(description: "protocol \(request.protocol) is not known; TCP, UDP, SCTP, ICMP or ICMPv6")
    }
    let wantsIPv6 = IPAddress(request.from)?.isIPv6 ?? IPAddress(request.to)?.isIPv6 ?? (transport == .icmpv6)
    let source = try await end(request.from, wantsIPv6: wantsIPv6)
    let destination = try await end(request.to, wantsIPv6: wantsIPv6)
    let hasHostPolicy = try datapath.hasHostPolicy()
    func isJudged(_ end: TraceEnd) -> Bool { end.endpoint != nil || end.isNode && hasHostPolicy }
    if !isJudged(source), !isJudged(destination), source.isNode != destination.isNode {
      return Judgement.unjudged(request, source, destination, transport.rawValue)
    }
    let verdict = try datapath.trace(from: source, to: destination, ipProtocol: transport.rawValue, port: request.port)
    let sides = TraceSides(verdict: verdict, from: isJudged(source), to: isJudged(destination)).sides
    var stages = sides.map { side in
      let stage = side.direction == .egress ? "egress of \(request.from)" : "ingress of \(request.to)"
      return Judgement.Stage(direction: side.direction, step: step(side, stage, verdict))
    }
    func judgement(_ result: TraceResult.Verdict) -> Judgement {
      Judgement(
        source: source, destination: destination, ipProtocol: transport.rawValue, result: result, stages: stages)
    }
    guard verdict.dropReason == 0 else { return judgement(.denied) }
    guard verdict.verdict == .proxy else { return judgement(.allowed) }
    guard let asked = request.spoken else { return judgement(.redirected) }
    // In the order in which the proxy asks them. It stops at the first that denies; who asks why wants to know of both.
    var asking = [(set: verdict.proxyRules, of: "")]
    if verdict.egressProxyRules != 0 {
      asking = [(verdict.egressProxyRules, " of \(request.from)"), (verdict.proxyRules, " of \(request.to)")]
    }
    var result = TraceResult.Verdict.allowed
    for (id, owner) in asking {
      let set = try await rules(id)
      let spoken = try SpokenVerdict(asked, by: set)
      let step = TraceResult.Step(
        stage: spoken.stage + owner, verdict: spoken.verdict, reason: spoken.reason,
        rule: spoken.rule.flatMap { citation($0) })
      stages.append(Judgement.Stage(direction: nil, step: step, ruleSet: set))
      if spoken.verdict == .denied { result = .denied }
    }
    return judgement(result)
  }

  private func rules(_ id: UInt32) async throws -> RuleSet {
    if let set = await policy.ruleSet(id) { return set }
    throw TraceError(description: "rule set \(id) has just been replaced; ask again")
  }

  private func step(_ side: TraceSides.Side, _ stage: String, _ verdict: TraceVerdict) -> TraceResult.Step {
    let origin = directory.origin(rule: side.rule)
    let reason = DropReason.name(verdict.dropReason)
    let text: String =
      switch side.outcome {
      case .denied where side.rule != 0: "a rule denies it (\(reason))"
      case .denied where verdict.dropReason == UInt8(MARTLET_DROP_POLICY_DENIED.rawValue):
        "no rule allows it (\(reason))"
      case .denied: "it is dropped before policy is asked (\(reason))"
      case .redirected: "a rule allows it by what is said on it"
      case .allowed:
        if let origin, origin.object == nil { origin.description } else { "a rule allows it" }
      }
    return TraceResult.Step(stage: stage, verdict: side.outcome, reason: text, rule: citation(side.rule))
  }

  private func citation(_ rule: UInt32) -> RuleCitation? {
    guard let origin = directory.origin(rule: rule), let object = origin.object else { return nil }
    return RuleCitation(object: object.description, path: origin.path)
  }

  private func end(_ text: String, wantsIPv6: Bool) async throws -> TraceEnd {
    if let address = IPAddress(text) {
      return TraceEnd(
        address: address, endpoint: await endpoints.endpoint(address: address)?.datapath,
        isNode: try datapath.ipcache.identity(of: address) == ReservedIdentity.host.identity)
    }
    if text == NodeDirectory.hostName {
      guard let address = await policy.hostAddresses.first(where: { $0.isIPv6 == wantsIPv6 }) else {
        throw TraceError(description: "this node has no \(wantsIPv6 ? "IPv6" : "IPv4") address")
      }
      return TraceEnd(address: address, endpoint: nil, isNode: true)
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let (namespace, name) = parts.count == 2 ? (parts[0], parts[1]) : ("default", text)
    guard let endpoint = await endpoints.endpoint(namespace: namespace, pod: name) else {
      throw TraceError(description: "no pod \(namespace)/\(name) on this node, and \"\(text)\" is no IP address")
    }
    guard let address = endpoint.attachment.addresses.first(where: { $0.isIPv6 == wantsIPv6 }) else {
      throw TraceError(description: "\(text) has no \(wantsIPv6 ? "IPv6" : "IPv4") address")
    }
    return TraceEnd(address: address, endpoint: endpoint.datapath)
  }
}
