import Datapath
import Identity
import NodeAPI
import Policy
import ProxyRules

extension Agent {
  /// Puts a judgement into words: which policies had a say, what each of their rules says, and what would have to change.
  func explain(_ request: TraceRequest) async throws -> Explanation {
    let judgement = try await judge(request)
    let known = await policy.knownIdentities
    let source = try end(judgement.source, request.from, known)
    let destination = try end(judgement.destination, request.to, known)
    var stages: [Explanation.Stage] = []
    var remedies: [Explanation.Remedy] = []
    for stage in judgement.stages {
      guard let direction = stage.direction else {
        let (policies, remedy) = try explainRequest(request, stage.step, judgement.ruleSet)
        stages.append(Explanation.Stage(step: stage.step, policies: policies))
        if let remedy { remedies.append(remedy) }
        continue
      }
      let (subject, peer) = direction == .egress ? (source, destination) : (destination, source)
      let readings = await policy.readings(
        of: subject.identity, direction, peer: peer.identity, protocol: judgement.ipProtocol, port: request.port)
      stages.append(Explanation.Stage(step: stage.step, policies: readings.map(Explanation.Policy.init)))
      guard stage.step.verdict == .denied else { continue }
      remedies += Remedies(
        subject: (subject.name, subject.labels), peer: (peer.name, peer.labels, peer.address), direction: direction,
        ipProtocol: judgement.ipProtocol, port: request.port
      ).connection(readings)
    }
    return Explanation(
      verdict: judgement.result, source: source.model, destination: destination.model, stages: stages,
      remedies: remedies)
  }

  private func explainRequest(
    _ request: TraceRequest, _ step: TraceResult.Step, _ set: HTTPRuleSet?
  ) throws -> ([Explanation.Policy], Explanation.Remedy?) {
    guard let set, let method = request.method else { return ([], nil) }
    let asked = request.httpRequest(method)
    var order: [String] = []
    var rules: [String: [Explanation.Rule]] = [:]
    var descriptions: [String: String] = [:]
    for rule in set.rules {
      guard let origin = directory.origin(rule: rule.id), let object = origin.object?.description else { continue }
      if rules[object] == nil { order.append(object) }
      descriptions[object] = origin.description
      let differences = try rule.differences(from: asked)
      rules[object, default: []].append(
        Explanation.Rule(
          path: origin.path, effect: "allow", matches: differences.isEmpty,
          reason: differences.isEmpty ? "the request matches" : differences.joined(separator: "; ")))
    }
    let policies = order.map { object in
      Explanation.Policy(
        object: object, description: descriptions[object] ?? "", deniesByDefault: true, rules: rules[object] ?? [],
        problems: [])
    }
    guard step.verdict == .denied else { return (policies, nil) }
    return (
      policies,
      Remedies.request(
        method: method, path: asked.path, in: order.first, at: order.first.flatMap { rules[$0]?.first?.path })
    )
  }

  private func end(
    _ end: TraceEnd, _ name: String, _ known: [NumericIdentity: IdentityLabels]
  ) throws -> ExplainedEnd {
    let identity =
      try end.endpoint?.identity ?? datapath.ipcache.identity(of: end.address) ?? NumericIdentity(rawValue: 0)
    return ExplainedEnd(
      name: name, address: end.address, identity: identity, labels: known[identity] ?? IdentityLabels([]))
  }
}
