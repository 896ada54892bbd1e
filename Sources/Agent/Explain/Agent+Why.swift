import Datapath
import Identity
import NodeAPI
import Policy
import ProxyRules

extension Agent {
  /// Puts a judgement into words: which policies had a say, what each of their rules says, and what would have to change.
  func explain(_ request: TraceRequest) async throws -> Explanation {
    let judgements = try await judge(request)
    let known = await policy.knownIdentities
    var parts: [Explanation] = []
    for judgement in judgements { parts.append(try await explain(judgement, known)) }
    guard let first = parts.first else { throw TraceError(description: "nothing judges it") }
    return Explanation(
      verdict: TraceResult.Verdict(of: parts.map(\.verdict)), source: first.source, destination: first.destination,
      stages: parts.flatMap(\.stages),
      remedies: parts.flatMap(\.remedies).reduce(into: []) { if !$0.contains($1) { $0.append($1) } })
  }

  private func explain(
    _ judgement: Judgement, _ known: [NumericIdentity: IdentityLabels]
  ) async throws -> Explanation {
    let question = judgement.question
    let source = try await end(question.from, question.fromName, known)
    let destination = try await end(question.to, question.toName, known)
    var stages: [Explanation.Stage] = []
    var remedies: [Explanation.Remedy] = []
    for stage in judgement.stages {
      guard let direction = stage.direction else {
        let (policies, remedy) = try explain(question.spoken, stage.step, stage.ruleSet)
        stages.append(Explanation.Stage(step: stage.step, policies: policies))
        if let remedy { remedies.append(remedy) }
        continue
      }
      let (subject, peer) = direction == .egress ? (source, destination) : (destination, source)
      let readings = await policy.readings(
        of: subject.identity, direction, peer: peer.identity, protocol: question.transport.rawValue, port: question.port
      )
      stages.append(Explanation.Stage(step: stage.step, policies: readings.map(Explanation.Policy.init)))
      guard stage.step.verdict == .denied || stage.step.isAudited else { continue }
      remedies += Remedies(
        subject: subject, peer: peer, direction: direction,
        ipProtocol: question.transport.rawValue, port: question.port
      ).connection(readings)
    }
    return Explanation(
      verdict: judgement.result, source: source.model, destination: destination.model, stages: stages,
      remedies: remedies)
  }

  /// What each rule of a set says of what is said, and what would have to be added.
  private func explain(
    _ spoken: Spoken?, _ step: TraceResult.Step, _ set: RuleSet?
  ) throws -> ([Explanation.Policy], Explanation.Remedy?) {
    guard let set, let spoken else { return ([], nil) }
    var order: [String] = []
    var rules: [String: [Explanation.Rule]] = [:]
    var descriptions: [String: String] = [:]
    for (id, differences) in try set.differences(from: spoken) {
      guard let origin = directory.origin(rule: id), let object = origin.object?.description else { continue }
      if rules[object] == nil { order.append(object) }
      descriptions[object] = origin.description
      rules[object, default: []].append(
        Explanation.Rule(
          path: origin.path, effect: "allow", matches: differences.isEmpty,
          reason: differences.isEmpty ? spoken.match : differences.joined(separator: "; ")))
    }
    let policies = order.map { object in
      Explanation.Policy(
        object: object, description: descriptions[object] ?? "", deniesByDefault: true, rules: rules[object] ?? [],
        problems: [])
    }
    guard step.verdict == .denied || step.isAudited, spoken.stage == set.kind.rawValue else { return (policies, nil) }
    let (object, path) = (order.first, order.first.flatMap { rules[$0]?.first?.path })
    switch spoken {
    case .http(let asked):
      return (policies, Remedies.request(method: asked.method, path: asked.path, in: object, at: path))
    case .dns(let name): return (policies, Remedies.query(name, in: object, at: path))
    case .tls(let name): return (policies, Remedies.serverName(name, in: object, at: path))
    }
  }

  private func end(
    _ end: TraceEnd, _ name: String, _ known: [NumericIdentity: IdentityLabels]
  ) async throws -> ExplainedEnd {
    let identity =
      try end.endpoint?.identity ?? datapath.ipcache.identity(of: end.address) ?? NumericIdentity(rawValue: 0)
    return ExplainedEnd(
      name: name, address: end.address, identity: identity, labels: known[identity] ?? IdentityLabels([]),
      names: end.endpoint == nil ? await names.owners(end.address) : [])
  }
}
