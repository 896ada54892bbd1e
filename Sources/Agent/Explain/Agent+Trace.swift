import Addressing
import CMartletABI
import Datapath
import Flows
import Identity
import JSON
import NodeAPI
import Policy
import ProxyRules
import Services

extension Agent {
  /// What the loaded program says about a connection, and the proxy's rules about what is said on it.
  func trace(_ request: TraceRequest) async throws -> TraceResult {
    let judgements = try await judge(request)
    return TraceResult(
      verdict: TraceResult.Verdict(of: judgements.map(\.result)), steps: judgements.flatMap { $0.stages.map(\.step) })
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

  /// Asks the loaded program about a connection, and the proxy's rules about what is said on it. Where the destination is a
  /// Service's address, there is a judgement for each group of its backends that are judged alike.
  func judge(_ request: TraceRequest) async throws -> [Judgement] {
    let question = try await question(request)
    guard let translation = await translation(of: question) else { return [try await judge(question)] }
    let service = "service \(translation.service)"
    let kinds = translation.kinds.names.joined(separator: ", ")
    guard case .backends(let backends) = translation.outcome else {
      guard case .nobody(let reason) = translation.outcome else { return [] }
      return [
        Judgement(
          question, .denied,
          [.init(direction: nil, step: .init(stage: service, verdict: .denied, reason: reason, rule: nil))])
      ]
    }
    var order: [BackendKind] = []
    var groups: [BackendKind: [BackendAddress]] = [:]
    for backend in backends {
      let kind = try await kind(of: backend, for: question.from)
      if groups[kind] == nil { order.append(kind) }
      groups[kind, default: []].append(backend)
    }
    var judgements: [Judgement] = []
    for kind in order {
      guard let members = groups[kind], let first = members.first else { continue }
      var part = question
      part.to = try await end(first.address)
      part.toName = directory.owner(address: first.address).map { "\($0.namespace)/\($0.pod)" } ?? "\(first.address)"
      part.port = first.port
      var judgement = try await judge(part)
      let named = members.prefix(4).map { "\($0.address.bracketed):\($0.port)" }.joined(separator: ", ")
      let reason =
        "\(kinds), leads to \(named)" + (members.count > 4 ? " and \(members.count - 4) more" : "")
        + (order.count > 1 ? " (\(members.count) of \(backends.count) backends)" : "")
      judgement.stages.insert(
        .init(
          direction: nil, step: .init(stage: service, verdict: judgement.result, reason: reason, rule: nil)), at: 0)
      judgements.append(judgement)
    }
    return judgements
  }

  /// What of a backend decides about connections to it.
  private struct BackendKind: Hashable {
    let identity: UInt32
    let port: UInt16
    /// A pod of this node.
    let isLocal: Bool
    let isAudit: Bool
    let isClient: Bool
  }

  private func kind(of backend: BackendAddress, for client: TraceEnd) async throws -> BackendKind {
    let endpoint = await endpoints.endpoint(address: backend.address)
    let identity = try endpoint?.identity ?? datapath.ipcache.identity(of: backend.address)
    return BackendKind(
      identity: identity?.rawValue ?? 0, port: backend.port, isLocal: endpoint != nil,
      isAudit: endpoint?.isAudit == true, isClient: endpoint.map { $0.id == client.endpoint?.id } ?? false)
  }

  private func translation(of question: TraceQuestion) async -> ServiceTranslation? {
    // A pod's own address is nobody's service, and asking is not free.
    guard question.to.endpoint == nil else { return nil }
    let key = FrontendKey(address: question.to.address, port: question.port, protocol: question.transport)
    let identity = (try? datapath.ipcache.identity(of: question.to.address)) ?? nil
    let isNode =
      question.to.isNode || identity == ReservedIdentity.remoteNode.identity
      || identity == ReservedIdentity.kubeAPIServer.identity
      || identity.map { NumericIdentity.nodeRange.contains($0.rawValue) } == true
    return await services.translation(
      of: key, isNode: isNode,
      for: question.from.endpoint != nil || question.from.isNode ? .inside : .outside(question.from.address))
  }

  /// Judges a connection whose destination is no Service's.
  private func judge(_ question: TraceQuestion) async throws -> Judgement {
    let (source, destination) = (question.from, question.to)
    if let own = source.endpoint?.id, own == destination.endpoint?.id {
      return Judgement(question, .allowed, sayingAlways: "a pod reaches itself")
    }
    if source.isNode, destination.isNode {
      return Judgement(question, .allowed, sayingAlways: "what the node says to itself is not judged")
    }
    let hasHostPolicy = try datapath.hasHostPolicy()
    func isJudged(_ end: TraceEnd) -> Bool { end.endpoint != nil || end.isNode && hasHostPolicy }
    if !isJudged(source), !isJudged(destination), source.isNode != destination.isNode {
      let direction: Direction = source.isNode ? .egress : .ingress
      let step = TraceResult.Step(
        stage: question.stage(direction), verdict: .allowed, reason: "no policy selects this node", rule: nil)
      return Judgement(question, .allowed, [.init(direction: direction, step: step)])
    }
    let verdict = try datapath.trace(
      from: source, to: destination, ipProtocol: question.transport.rawValue, port: question.port)
    let sides = TraceSides(verdict: verdict, from: isJudged(source), to: isJudged(destination)).sides
    var stages = sides.map { side in
      Judgement.Stage(direction: side.direction, step: step(side, question.stage(side.direction), verdict))
    }
    guard verdict.dropReason == 0 else { return Judgement(question, .denied, stages) }
    guard verdict.verdict == .proxy else { return Judgement(question, .allowed, stages) }
    guard let asked = question.spoken else { return Judgement(question, .redirected, stages) }
    // In the order in which the proxy asks them. It stops at the first that denies; who asks why wants to know of both.
    var asking = [(set: verdict.proxyRules, of: "", direction: verdict.direction)]
    if verdict.egressProxyRules != 0 {
      asking = [
        (verdict.egressProxyRules, " of \(question.fromName)", .egress),
        (verdict.proxyRules, " of \(question.toName)", .ingress),
      ]
    }
    var result = TraceResult.Verdict.allowed
    for (id, owner, direction) in asking {
      let set = try await rules(id)
      let spoken = try SpokenVerdict(asked, by: set)
      let end = direction == .egress ? source : destination
      let isAudited = spoken.verdict == .denied && (configuration.audit || end.endpoint?.isAudit == true)
      let step = TraceResult.Step(
        stage: spoken.stage + owner, verdict: isAudited ? .allowed : spoken.verdict,
        reason: isAudited ? "audited: \(spoken.reason)" : spoken.reason,
        rule: spoken.rule.flatMap { citation($0) }, isAudited: isAudited)
      stages.append(Judgement.Stage(direction: nil, step: step, ruleSet: set))
      if step.verdict == .denied { result = .denied }
    }
    return Judgement(question, result, stages)
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
      case _ where side.isAudited:
        side.rule != 0 ? "audited: a rule denies it, or can not be applied to it" : "audited: no rule allows it"
      case .denied where side.rule != 0: "a rule denies it (\(reason))"
      case .denied where verdict.dropReason == UInt8(MARTLET_DROP_POLICY_DENIED.rawValue):
        "no rule allows it (\(reason))"
      case .denied: "it is dropped before policy is asked (\(reason))"
      case .redirected: "a rule allows it by what is said on it"
      case .allowed, .mixed:
        if let origin, origin.object == nil { origin.description } else { "a rule allows it" }
      }
    return TraceResult.Step(
      stage: stage, verdict: side.outcome, reason: text, rule: citation(side.rule), isAudited: side.isAudited)
  }

  private func citation(_ rule: UInt32) -> RuleCitation? {
    guard let origin = directory.origin(rule: rule), let object = origin.object else { return nil }
    return RuleCitation(object: object.description, path: origin.path)
  }
}
