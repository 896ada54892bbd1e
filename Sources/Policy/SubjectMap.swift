import Identity
import KubernetesAPI

/// Gathers what all policies say of one subject, peer by peer, and flattens it.
///
/// Most peers are named by the same rules as many others. So the table counts peers by the list of rules that apply to
/// them, and flattens each list once.
struct SubjectMap {
  let subject: NumericIdentity
  let compiler: PolicyCompiler?
  private(set) var rulings: [(key: PolicyKey, ruling: Ruling)] = []

  init(subject: NumericIdentity, compiler: PolicyCompiler?) {
    self.subject = subject
    self.compiler = compiler
  }

  /// - Parameters:
  ///   - policies: those that select the subject, in order.
  ///   - peers: only the entries of these; nil for all.
  mutating func build(_ policies: [Int], peers: Set<NumericIdentity>?) {
    for direction in Direction.allCases { build(direction, policies, peers) }
  }

  private mutating func build(_ direction: Direction, _ policies: [Int], _ only: Set<NumericIdentity>?) {
    guard let compiler, compiler.selectors.labels[subject] != nil else { return }
    var table = PeerTable()
    let sections = policies.flatMap { compiler.policies[$0]?.sections ?? [] }
      .filter { compiler.selectors.matches($0.subject, subject) }
    let restricted = sections.contains { $0.defaultDeny.contains(direction) }
    let rules = sections.lazy.flatMap(\.rules).filter { $0.direction == direction }
    var requires: [TrafficRule.Action: [SelectorCache.ID]] = [:]
    for rule in rules where !rule.requires.isEmpty { requires[rule.action, default: []] += rule.requires }
    for rule in rules where !rule.terms.isEmpty {
      add(rule, to: &table, only, requires: rule.areEndpoints ? requires[rule.action] ?? [] : [], compiler)
    }
    if !restricted {
      table.any.append(
        .everything(direction == .ingress ? RuleTable.unrestrictedIngress : RuleTable.unrestrictedEgress))
    } else if direction == .ingress, compiler.options.hostAccess == .always {
      let host = ReservedIdentity.host.identity
      if subject != host, only?.contains(host) ?? true {
        table.add(table.group([.everything(RuleTable.localHost)]), to: host)
      }
    }
    emit(table, direction, withAny: only == nil)
  }

  private func add(
    _ rule: ResolvedPolicy.Rule, to table: inout PeerTable, _ only: Set<NumericIdentity>?,
    requires: [SelectorCache.ID], _ compiler: PolicyCompiler
  ) {
    // Most rules are about none of the few peers that come or go.
    if let only, let peers = rule.peers, rule.wide.isEmpty,
      !only.contains(where: { peer in peers.contains { compiler.selectors.matches($0, peer) } })
    {
      return
    }
    let usesPeersPorts = rule.direction == .egress && rule.hasNamedPorts
    let atoms = rule.atoms(usesPeersPorts ? [] : compiler.namedPorts[subject] ?? [])
    guard rule.peers != nil else {
      table.any += atoms
      guard usesPeersPorts else { return }
      // A name means a number only at a known peer, so any peer is each of those that have it.
      for (peer, ports) in compiler.namedPorts where only?.contains(peer) ?? true && rule.names(ports) {
        table.add(table.group(rule.atoms(ports)), to: peer)
      }
      return
    }
    // Who is narrowed by requirements must be named.
    let wide = requires.isEmpty ? rule.wide.filter(compiler.census.covers) : []
    let selectors = wide.count == rule.wide.count ? rule.narrow : rule.peers ?? []
    for peers in Set(wide.map(\.peers)) {
      table.classes[peers, default: []] += atoms
      guard usesPeersPorts else { continue }
      for (peer, ports) in compiler.namedPorts
      where PeerClass(of: peer) == peers && only?.contains(peer) ?? true && rule.names(ports) {
        table.add(table.group(rule.atoms(ports)), to: peer)
      }
    }
    if selectors.isEmpty { return }
    let group = table.group(atoms)
    var groups: [[NamedPort]: Int] = [[]: group]
    func add(_ peer: NumericIdentity) {
      guard requires.allSatisfy({ compiler.selectors.matches($0, peer) }) else { return }
      guard usesPeersPorts, let ports = compiler.namedPorts[peer] else { return table.add(group, to: peer) }
      let own = groups[ports] ?? table.group(rule.atoms(ports))
      groups[ports] = own
      table.add(own, to: peer)
    }
    for selector in selectors {
      if let only {
        for peer in only where compiler.selectors.matches(selector, peer) { add(peer) }
      } else {
        for peer in compiler.selectors.matches(selector) { add(peer) }
      }
    }
  }

  private mutating func emit(_ table: PeerTable, _ direction: Direction, withAny: Bool) {
    func append(_ entries: [FlatEntry], _ peer: NumericIdentity) {
      for entry in entries {
        rulings.append(
          (
            PolicyKey(
              peer: peer, direction: direction, protocol: entry.protocol, port: entry.port,
              prefixLength: entry.prefixLength), entry.ruling
          ))
      }
    }
    if withAny { append(Flattening.entries(of: table.any, background: []), .any) }
    let background = table.any.filter(\.isForProxy)
    var backgrounds: [PeerClass: [Atom]] = [:]
    for (peers, atoms) in table.classes {
      if withAny { append(Flattening.entries(of: atoms, background: background), peers.peer) }
      backgrounds[peers] = background + atoms.filter(\.isForProxy)
    }
    var flat: [FlatList: [FlatEntry]] = [:]
    for (peer, list) in table.peers {
      // Where a class sends nothing to the proxy, its peers share their entries with all others.
      let behind = PeerClass(of: peer).flatMap { backgrounds[$0] } ?? background
      let key = FlatList(list: list, peers: behind.count == background.count ? nil : PeerClass(of: peer))
      let entries =
        flat[key] ?? Flattening.entries(of: table.lists[list].flatMap { table.groups[$0] }, background: behind)
      flat[key] = entries
      append(entries, peer)
    }
  }
}

private struct FlatList: Hashable {
  let list: Int
  let peers: PeerClass?
}

/// Which rules apply to which peer.
private struct PeerTable {
  private struct Step: Hashable {
    let list: Int
    let group: Int
  }

  /// The atoms of peer 0.
  var any: [Atom] = []
  /// The atoms of classes of peers.
  var classes: [PeerClass: [Atom]] = [:]
  private(set) var groups: [[Atom]] = []
  /// Lists of groups; list 0 is empty.
  private(set) var lists: [[Int]] = [[]]
  private(set) var peers: [NumericIdentity: Int] = [:]
  private var steps: [Step: Int] = [:]

  mutating func group(_ atoms: [Atom]) -> Int {
    groups.append(atoms)
    return groups.count - 1
  }

  mutating func add(_ group: Int, to peer: NumericIdentity) {
    let list = peers[peer] ?? 0
    // Two selectors of one rule may name the same peer.
    if lists[list].last == group { return }
    let step = Step(list: list, group: group)
    if let next = steps[step] {
      peers[peer] = next
      return
    }
    lists.append(lists[list] + [group])
    steps[step] = lists.count - 1
    peers[peer] = lists.count - 1
  }
}

extension Atom {
  fileprivate static func everything(_ rule: UInt32) -> Atom {
    Atom(protocol: nil, ports: 0...UInt16.max, effect: .allow, rule: rule)
  }

  fileprivate var isForProxy: Bool {
    if case .proxy = effect { true } else { false }
  }
}
