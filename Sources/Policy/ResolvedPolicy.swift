import Addressing
import Identity
import KubernetesAPI
import ProxyRules

/// A policy whose selectors are registered and whose rules have their ids.
struct ResolvedPolicy: Sendable {
  struct Section: Sendable {
    let subject: SelectorCache.ID
    let defaultDeny: Set<Direction>
    let rules: [Rule]
  }

  struct Rule: Sendable {
    let direction: Direction
    /// nil: any peer.
    let peers: [SelectorCache.ID]?
    /// Those of the selectors that together mean whole classes of peers.
    let wide: [WidePeers]
    /// The peers are endpoints by their labels, so that requirements narrow them.
    let areEndpoints: Bool
    let requires: [SelectorCache.ID]
    let action: TrafficRule.Action
    let terms: [Term]
    let hasNamedPorts: Bool

    /// The selectors that mean no class of peers.
    var narrow: [SelectorCache.ID] {
      guard let peers, !wide.isEmpty else { return peers ?? [] }
      let classes = Set(wide.flatMap(\.selectors))
      return peers.filter { !classes.contains($0) }
    }

    /// The rule's terms with named ports replaced by the numbers that `ports` gives them.
    func atoms(_ ports: [NamedPort]) -> [Atom] {
      terms.flatMap { term in
        switch term.ports {
        case .range(let range): [Atom(protocol: term.protocol, ports: range, effect: term.effect, rule: term.rule)]
        case .named(let name):
          ports.filter { $0.name == name && $0.protocol == term.protocol }.map {
            Atom(protocol: term.protocol, ports: $0.port...$0.port, effect: term.effect, rule: term.rule)
          }
        }
      }
    }

    func names(_ ports: [NamedPort]) -> Bool {
      terms.contains { term in
        if case .named(let name) = term.ports { ports.contains { $0.name == name } } else { false }
      }
    }
  }

  struct Term: Sendable {
    let `protocol`: UInt8?
    let ports: PolicyTerm.Ports
    let effect: Atom.Effect
    let rule: UInt32
  }

  let key: ObjectKey
  let sections: [Section]
  let selectors: [SelectorCache.ID]
  let cidrs: [CIDR]
  /// The patterns of names that are peers.
  let patterns: [DNSNamePattern]
  let references: Set<RuleReference>
  let ruleLists: [Int]
  /// Its maps depend on the named ports of peers.
  let namesPortsOfPeers: Bool
}

extension PolicyCompiler {
  /// Registers the selectors and allocates the rules of a document. What the document shares with the one it replaces
  /// keeps its numbers, if that is released only afterwards.
  mutating func resolve(_ document: PolicyDocument) -> ResolvedPolicy {
    var selectors: [SelectorCache.ID] = []
    var cidrs: [CIDR] = []
    var patterns: [DNSNamePattern] = []
    var references: Set<RuleReference> = []
    var lists: [PolicyTerm.Effect: Int] = [:]

    func register(_ selector: IdentitySelector) -> SelectorCache.ID {
      let id = self.selectors.register(selector)
      selectors.append(id)
      return id
    }
    func rule(_ path: String, _ section: PolicySection) -> UInt32 {
      let reference = RuleReference(object: document.key, path: path)
      guard let id = allocations.rules.allocate(reference) else { return 0 }
      references.insert(reference)
      rules.origins[id] = RuleOrigin(
        object: document.key, path: path, description: section.description ?? "", log: section.log ?? "")
      return id
    }
    func ruleList(_ effect: PolicyTerm.Effect, at path: String?, _ make: () -> RuleList) -> Atom.Effect {
      if let list = lists[effect] { return .proxy(list) }
      lastRuleList += 1
      lists[effect] = lastRuleList
      ruleLists[lastRuleList] = make()
      listOrigins[lastRuleList] = RuleListOrigin(object: document.key, path: path ?? "")
      return .proxy(lastRuleList)
    }
    func atomEffect(_ effect: PolicyTerm.Effect, _ section: PolicySection) -> Atom.Effect {
      switch effect {
      case .allow: .allow
      case .deny: .deny
      case .http(let terms):
        ruleList(effect, at: terms.first?.path) {
          .http(
            terms.map { term in
              var copy = term.rule
              copy.id = rule(term.path, section)
              return copy
            })
        }
      case .dns(let terms):
        ruleList(effect, at: terms.first?.path) {
          .dns(terms.map { NameRule(id: rule($0.path, section), pattern: $0.pattern) })
        }
      case .tls(let terms):
        ruleList(effect, at: terms.first?.path) {
          .tls(terms.map { NameRule(id: rule($0.path, section), pattern: $0.pattern) })
        }
      }
    }

    let sections = document.sections.map { section in
      ResolvedPolicy.Section(
        subject: register(section.subject), defaultDeny: section.defaultDeny,
        rules: section.rules.map { policyRule in
          var peers: [SelectorCache.ID]?
          var wide: [WidePeers] = []
          if case .selected(let selected, let blocks) = policyRule.peers {
            let registered = selected.map { (selector: $0, id: register($0)) }
            peers = registered.map(\.id)
            wide = WidePeers.found(in: registered)
            cidrs += blocks
            patterns += selected.compactMap(NameIdentities.pattern)
          }
          let terms = policyRule.terms.map { term in
            return ResolvedPolicy.Term(
              protocol: term.protocol, ports: term.ports,
              effect: atomEffect(term.effect, section), rule: rule(term.path, section))
          }
          let named = policyRule.terms.contains { if case .named = $0.ports { true } else { false } }
          return ResolvedPolicy.Rule(
            direction: policyRule.direction, peers: peers, wide: wide, areEndpoints: policyRule.areEndpoints,
            requires: policyRule.requires.map(register), action: policyRule.action, terms: terms,
            hasNamedPorts: named)
        })
    }
    return ResolvedPolicy(
      key: document.key, sections: sections, selectors: selectors, cidrs: cidrs, patterns: patterns,
      references: references,
      ruleLists: Array(lists.values),
      namesPortsOfPeers: sections.contains { $0.rules.contains { $0.direction == .egress && $0.hasNamedPorts } })
  }

  /// Gives back what `old` holds and `new` does not.
  mutating func release(_ old: ResolvedPolicy, replacedBy new: ResolvedPolicy?) {
    for selector in old.selectors { selectors.unregister(selector) }
    for list in old.ruleLists {
      ruleLists[list] = nil
      listOrigins[list] = nil
    }
    for reference in old.references where new?.references.contains(reference) != true {
      if let id = allocations.rules[reference] { rules.origins[id] = nil }
      allocations.rules.release(reference)
    }
  }
}
