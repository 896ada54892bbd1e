import Addressing
import Identity
import KubernetesAPI

/// What a policy that selects a subject says of one connection of it, for people to read. The verdict is never made of
/// this: that is the kernel's.
public struct PolicyReading: Hashable, Sendable {
  public let object: ObjectKey
  /// What the policy says of itself.
  public let description: String
  /// Whether it denies, in the direction asked about, what no rule allows.
  public let deniesByDefault: Bool
  /// In the order of the object.
  public let terms: [Term]
  /// What of the object is not enforced as it is written.
  public let issues: [PolicyIssue]
  /// None of its rules is enforced.
  public let isRejected: Bool

  /// One protocol and port of one rule.
  public struct Term: Hashable, Sendable {
    public enum Effect: String, Hashable, Sendable {
      case allow, deny
      /// Allows what further rules about each request or query allow.
      case proxy
    }

    /// `spec.ingress[0].toPorts[0].ports[0]`.
    public let path: String
    public let effect: Effect
    /// The selectors of peers in kubectl's syntax, of which one must match; nil: any peer.
    public let peers: [String]?
    public let matchesPeer: Bool
    /// For a peer that no selector matches: what the nearest selector asks for and the peer's labels lack.
    public let unmet: [IdentityRequirement]
    /// `9080/TCP`, `8000-8999/UDP`, `http/TCP`, `any port`.
    public let ports: String
    public let matchesPort: Bool

    /// Whether the connection is among those that the term speaks of.
    public var matches: Bool { matchesPeer && matchesPort }
  }
}

extension PolicyCompiler {
  /// What each policy that selects `subject` says of its connections with `peer`, in the order of their keys.
  ///
  /// - Parameters:
  ///   - protocol: IPPROTO_*.
  ///   - port: the destination's; for ICMP and ICMPv6 the type.
  public func readings(
    of subject: NumericIdentity, _ direction: Direction, peer: NumericIdentity, protocol: UInt8, port: UInt16
  ) -> [PolicyReading] {
    let selecting = (subjects[subject]?.policies ?? []).compactMap { policies[$0] }.sorted { $0.key < $1.key }
    return selecting.compactMap { policy in
      let sections = policy.sections.filter { selectors.matches($0.subject, subject) }
      let deniesByDefault = sections.contains { $0.defaultDeny.contains(direction) }
      let named = namedPorts[direction == .ingress ? subject : peer] ?? []
      let terms = sections.flatMap(\.rules).filter { $0.direction == direction }.flatMap { rule in
        rule.terms.map { reading($0, of: rule, peer: peer, `protocol`, port, named) }
      }
      guard deniesByDefault || !terms.isEmpty else { return nil }
      let description = terms.lazy.compactMap { term in
        policy.references.contains(RuleReference(object: policy.key, path: term.path))
          ? allocations.rules[RuleReference(object: policy.key, path: term.path)].flatMap { rules[$0]?.description }
          : nil
      }.first
      return PolicyReading(
        object: policy.key, description: description ?? "", deniesByDefault: deniesByDefault, terms: terms,
        issues: status[policy.key]?.issues ?? [], isRejected: status[policy.key]?.state == .rejected)
    }
  }

  private func reading(
    _ term: ResolvedPolicy.Term, of rule: ResolvedPolicy.Rule, peer: NumericIdentity, _ ipProtocol: UInt8,
    _ port: UInt16, _ named: [NamedPort]
  ) -> PolicyReading.Term {
    let effect: PolicyReading.Term.Effect =
      switch term.effect {
      case .allow: .allow
      case .deny: .deny
      default: .proxy
      }
    let matchesPeer = rule.peers?.contains { selectors.matches($0, peer) } ?? true
    let candidates = rule.peers?.compactMap { selectors.selector($0) } ?? []
    return PolicyReading.Term(
      path: rules[term.rule]?.path ?? "", effect: effect,
      peers: rule.peers == nil ? nil : candidates.map(\.description),
      matchesPeer: matchesPeer, unmet: matchesPeer ? [] : nearest(candidates, to: peer), ports: term.portsDescription,
      matchesPort: term.covers(ipProtocol, port, named))
  }

  /// The unmet requirements of the selector that lacks the fewest.
  private func nearest(_ candidates: [IdentitySelector], to peer: NumericIdentity) -> [IdentityRequirement] {
    guard let labels = selectors.labels[peer] else { return [] }
    let unmet = candidates.map { $0.requirements.filter { !$0.matches(labels) } }
    return unmet.min { $0.count < $1.count } ?? []
  }
}

extension ResolvedPolicy.Term {
  fileprivate func covers(_ ipProtocol: UInt8, _ port: UInt16, _ named: [NamedPort]) -> Bool {
    guard let own = self.protocol else { return true }
    guard own == ipProtocol else { return false }
    return switch ports {
    case .range(let range): range.contains(port)
    case .named(let name): named.contains { $0.name == name && $0.protocol == own && $0.port == port }
    }
  }

  fileprivate var portsDescription: String {
    guard let number = self.protocol else { return "any port" }
    let name = TransportProtocol(number).description
    return switch ports {
    case .range(let range) where range == 0...UInt16.max: "any/\(name)"
    case .range(let range) where range.count == 1: "\(range.lowerBound)/\(name)"
    case .range(let range): "\(range.lowerBound)-\(range.upperBound)/\(name)"
    case .named(let port): "\(port)/\(name)"
    }
  }
}
