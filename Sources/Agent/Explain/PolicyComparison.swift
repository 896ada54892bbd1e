import Addressing
import Flows
import Identity
import NodeAPI
import Policy
import ProxyRules

/// Judges recorded flows by two compiled policies.
struct PolicyComparison {
  let before: CompiledPolicy
  let after: CompiledPolicy
  private let verdicts: (before: PolicyVerdicts, after: PolicyVerdicts)
  /// Of the cluster, by their labels as flows have them.
  private let identities: [Set<String>: NumericIdentity]
  private let known: Set<NumericIdentity>

  /// - Parameter labels: of the identities of the cluster.
  init(before: CompiledPolicy, after: CompiledPolicy, labels: [NumericIdentity: IdentityLabels]) {
    self.before = before
    self.after = after
    verdicts = (PolicyVerdicts(before), PolicyVerdicts(after))
    var identities: [Set<String>: NumericIdentity] = [:]
    for (identity, labels) in labels where identity.isCluster {
      identities[Set(labels.labels.map(\.description))] = identity
    }
    self.identities = identities
    known = Set(labels.keys.filter { $0.isCluster })
  }

  /// What becomes of one flow.
  private enum Fate: Equatable {
    case allowed
    case judged
    case refused(String)
  }

  private struct Kind: Hashable {
    let from: String
    let to: String
    let service: String
    let request: String?
  }

  func difference(_ flows: [Flow], issues: [String]) -> PolicyDifference {
    var order: [Kind] = []
    var changes: [Kind: (change: PolicyDifference.Entry.Change, count: Int, reason: String)] = [:]
    var unchanged = 0
    for flow in flows where !flow.isReply {
      let old = fate(flow, before, verdicts.before)
      let new = fate(flow, after, verdicts.after)
      let change: PolicyDifference.Entry.Change
      var reason = ""
      switch (old, new) {
      case (.refused, .refused), (.allowed, .allowed), (.judged, .judged), (.judged, .allowed):
        unchanged += 1
        continue
      case (_, .refused(let why)): (change, reason) = (.denied, why)
      case (.refused(let why), _): (change, reason) = (.allowed, "was: \(why)")
      case (.allowed, .judged): (change, reason) = (.judged, "the policy has rules about what is said")
      }
      let kind = Kind(
        from: name(flow.source), to: name(flow.destination), service: service(flow),
        request: flow.http.map { "\($0.method) \($0.path)" })
      if changes[kind] == nil { order.append(kind) }
      changes[kind] = (change, (changes[kind]?.count ?? 0) + 1, reason)
    }
    let entries = order.compactMap { kind in
      changes[kind].map {
        PolicyDifference.Entry(
          change: $0.change, from: kind.from, to: kind.to, service: kind.service, request: kind.request,
          count: $0.count, reason: $0.reason)
      }
    }
    return PolicyDifference(entries: entries, unchanged: unchanged, issues: issues)
  }

  private func fate(_ flow: Flow, _ compiled: CompiledPolicy, _ verdicts: PolicyVerdicts) -> Fate {
    let isICMP = flow.ipProtocol == 1 || flow.ipProtocol == 58
    let answer = verdicts.answer(
      from: identity(flow.source, verdicts), to: identity(flow.destination, verdicts), protocol: flow.ipProtocol,
      port: isICMP ? UInt16(flow.icmpType) : flow.destination.port)
    switch answer {
    case .allow: return .allowed
    case .unreadable: return .refused("its rules ask for a protocol that it can not carry")
    case .deny(let direction, let rule):
      let side = direction == .egress ? "egress of \(name(flow.source))" : "ingress of \(name(flow.destination))"
      guard rule != 0, let origin = compiled.rules[rule] else { return .refused("\(side): no rule allows it") }
      return .refused("\(side): \(origin.object?.description ?? origin.description) \(origin.path)")
    case .proxy(let sets):
      guard let http = flow.http else { return .judged }
      // Flows carry no headers but the host: a rule that asks for others can not be told to match.
      let request = http.request
      for set in sets {
        guard let rules = set.http, let matcher = try? HTTPRuleMatcher(rules) else {
          return .refused("its rules are about another protocol than HTTP")
        }
        if matcher.decide(request) == .deny {
          return .refused("none of the \(rules.rules.count) HTTP rules matches")
        }
      }
      return .allowed
    }
  }

  /// Who an end is now: pods by their labels, others by their address.
  private func identity(_ end: Flow.Endpoint, _ verdicts: PolicyVerdicts) -> NumericIdentity {
    if let identity = identities[Set(end.labels)] { return identity }
    let written = NumericIdentity(rawValue: end.identity)
    // Numbers of a cluster that is gone mean nothing in a file of flows.
    let world = ReservedIdentity.world.identity
    return verdicts.identity(written.isCluster && !known.contains(written) ? world : written, at: end.address)
  }

  private func name(_ end: Flow.Endpoint) -> String {
    end.pod.isEmpty ? end.address.description : "\(end.namespace)/\(end.pod)"
  }

  private func service(_ flow: Flow) -> String {
    switch flow.ipProtocol {
    case 6: "\(flow.destination.port)/TCP"
    case 17: "\(flow.destination.port)/UDP"
    case 132: "\(flow.destination.port)/SCTP"
    default: "\(flow.icmpType)/\(flow.protocolName)"
    }
  }
}
