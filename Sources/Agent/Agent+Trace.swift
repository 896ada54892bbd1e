import Addressing
import CMartletABI
import Datapath
import Flows
import NodeAPI
import Policy
import ProxyRules

extension Agent {
  /// Asks the loaded program about a connection, and the loaded automaton about a request on it.
  func trace(_ request: TraceRequest) async throws -> TraceResult {
    guard let asked = TransportProtocol(name: request.protocol) else {
      throw TraceError(description: "protocol \(request.protocol) is not known; TCP, UDP, SCTP, ICMP or ICMPv6")
    }
    let wantsIPv6 = IPAddress(request.from)?.isIPv6 ?? IPAddress(request.to)?.isIPv6 ?? (asked == .icmpv6)
    let source = try await end(request.from, wantsIPv6: wantsIPv6)
    let destination = try await end(request.to, wantsIPv6: wantsIPv6)
    let verdict = try datapath.trace(from: source, to: destination, ipProtocol: asked.rawValue, port: request.port)
    var steps: [TraceResult.Step] = []
    steps += TraceSides(verdict: verdict, from: source.endpoint != nil, to: destination.endpoint != nil).sides.map {
      step($0, $0.direction == .egress ? "egress of \(request.from)" : "ingress of \(request.to)", verdict)
    }
    guard verdict.dropReason == 0 else { return TraceResult(verdict: .denied, steps: steps) }
    guard verdict.verdict == .proxy else { return TraceResult(verdict: .allowed, steps: steps) }
    guard let method = request.method else { return TraceResult(verdict: .redirected, steps: steps) }
    guard let set = await policy.ruleSet(verdict.proxyRules) else {
      throw TraceError(description: "rule set \(verdict.proxyRules) has just been replaced; ask again")
    }
    let decision = try HTTPRuleMatcher(set).decide(
      HTTPRequestDescription(
        method: method, path: request.path ?? "/", host: request.headers.first { $0.key.lowercased() == "host" }?.value,
        headers: request.headers.map { (name: $0.key, value: $0.value) }))
    switch decision {
    case .deny:
      steps.append(
        TraceResult.Step(
          stage: "http", verdict: .denied, reason: "none of the \(set.rules.count) HTTP rules matches the request",
          rule: nil))
      return TraceResult(verdict: .denied, steps: steps)
    case .allow(let rule): steps.append(allowed(by: rule))
    case .allowWithMismatches(let rule): steps.append(allowed(by: rule))
    }
    return TraceResult(verdict: .allowed, steps: steps)
  }

  private func allowed(by rule: UInt32?) -> TraceResult.Step {
    TraceResult.Step(
      stage: "http", verdict: .allowed, reason: "an HTTP rule matches the request",
      rule: rule.flatMap { citation($0) })
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
      case .redirected: "a rule allows it by HTTP request"
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
      return TraceEnd(address: address, endpoint: await endpoints.endpoint(address: address)?.datapath)
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
