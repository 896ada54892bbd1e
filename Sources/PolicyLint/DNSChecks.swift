import KubernetesAPI
import Policy

extension Report {
  /// Pods that may open connections but may not ask for names.
  mutating func checkDNS() {
    let statements = objects.enumerated().flatMap { index, object in
      object.document.map { Statement.all($0, object: index) } ?? []
    }
    for (index, object) in objects.enumerated() {
      for section in object.document?.sections ?? [] where section.defaultDeny.contains(.egress) {
        let own = section.rules.filter { $0.direction == .egress }
        let opens = own.contains { rule in
          rule.peers.mayBeNamed
            && rule.terms.contains { $0.effect != .deny && $0.protocol.map { [6, 17, 132].contains($0) } ?? true }
        }
        guard opens else { continue }
        let asks = statements.contains { statement in
          statement.direction == .egress && statement.mayAsk && Implication.holds(section.subject, statement.subject)
        }
        if !asks {
          warn(
            .dns, index, "\(section.path).egress",
            "the selected pods may not ask for names: nothing here allows them port 53/UDP")
        }
      }
      for rule in object.rules where rule.trafficRules.contains(where: { !($0.fqdns ?? []).isEmpty }) {
        checkNames(rule, index)
      }
    }
  }

  /// `toFQDNs` knows addresses from the answers that the DNS proxy sees.
  private mutating func checkNames(_ rule: CiliumRule, _ index: Int) {
    let isSeen = objects.flatMap(\.rules).contains { other in
      other.trafficRules.contains { traffic in
        traffic.direction == .egress && (traffic.toPorts ?? []).contains { $0.rules?.dns != nil }
      }
    }
    guard !isSeen, let names = rule.trafficRules.first(where: { !($0.fqdns ?? []).isEmpty }) else { return }
    warn(
      .dns, index, "\(names.path).toFQDNs",
      "the addresses of these names are learned from DNS answers, but no rule with `rules.dns` lets any be seen")
  }
}

extension PolicyPeers {
  /// Whether clients find some of these peers by a name: blocks of addresses are known by their addresses.
  fileprivate var mayBeNamed: Bool {
    switch self {
    case .any: true
    case .selected(let selectors, _): selectors.contains { !$0.requirements.contains { $0.key.source == .cidr } }
    }
  }
}

extension Statement {
  fileprivate var mayAsk: Bool {
    if case .deny = grant { return false }
    guard self.protocol == nil || self.protocol == 17 else { return false }
    return switch ports {
    case .range(let range): range.contains(53)
    case .named(let name): name.contains("dns")
    }
  }
}
