import Identity
import ProxyRules

extension PolicyCompiler {
  /// Redoes the maps that are marked dirty.
  mutating func rebuild(_ change: inout PolicyChange) {
    guard !dirty.isEmpty else { return }
    let marked = dirty
    dirty = [:]
    let ranks = self.ranks(of: marked.keys)
    var unions: [[Int]: RuleList] = [:]
    for (identity, dirt) in marked.sorted(by: { $0.key < $1.key }) {
      guard let subject = subjects[identity] else { continue }
      if case .all = dirt { reselected.insert(identity) }
      let ordered = subject.policies.sorted { ranks[$0, default: 0] < ranks[$1, default: 0] }
      var builder = SubjectMap(subject: identity, compiler: self)
      switch dirt {
      case .all: builder.build(ordered, peers: nil)
      case .peers(let peers): builder.build(ordered, peers: peers)
      }
      let rulings = builder.rulings
      // The builder holds the compiler's own storage; writing to it while it lives would copy.
      builder = SubjectMap(subject: identity, compiler: nil)
      switch dirt {
      case .all: replace(identity, nil, rulings, &unions, &change)
      case .peers(let peers): replace(identity, peers, rulings, &unions, &change)
      }
    }
  }

  /// The order of policies by their key: what decides among equals must not depend on history.
  private func ranks(of identities: some Sequence<NumericIdentity>) -> [Int: Int] {
    var involved: Set<Int> = []
    for identity in identities { involved.formUnion(subjects[identity]?.policies ?? []) }
    let sorted = involved.compactMap { handle in policies[handle].map { (handle, $0.key) } }.sorted { $0.1 < $1.1 }
    return Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($0.element.0, $0.offset) })
  }

  /// Writes rulings into a map: all of it, or the entries of some peers.
  private mutating func replace(
    _ identity: NumericIdentity, _ peers: Set<NumericIdentity>?, _ rulings: [(key: PolicyKey, ruling: Ruling)],
    _ unions: inout [[Int]: RuleList], _ change: inout PolicyChange
  ) {
    let old = maps.removeValue(forKey: identity)
    var map: PolicyMapState = [:]
    // Of these peers, before.
    var gone: PolicyMapState = [:]
    var slots: Set<RuleSetSlot> = []
    var conflicts: [PolicyKey: [ProtocolConflict]] = [:]
    if let peers {
      let sieve = PeerSieve(peers)
      gone = (old ?? [:]).filter { sieve.mayHold($0.key.peer) && peers.contains($0.key.peer) }
      slots = (subjects[identity]?.slots ?? []).filter { !peers.contains($0.key.peer) }
      conflicts = (subjects[identity]?.conflicts ?? [:]).filter { !peers.contains($0.key.peer) }
    } else {
      map.reserveCapacity(rulings.count)
    }
    var requests: [(slot: RuleSetSlot, ruling: Ruling)] = []
    for (key, ruling) in rulings {
      if ruling.verdict == .proxy {
        requests.append((RuleSetSlot(subject: identity, key: key), ruling))
        let found = self.conflicts(ruling.lists)
        if !found.isEmpty { conflicts[key] = found }
      } else {
        map[key] = PolicyEntry(verdict: ruling.verdict, rule: ruling.rule)
      }
    }
    for (slot, ruling) in requests.sorted(by: { $0.slot < $1.slot }) {
      // Out of numbers there is no set to judge by: no entry, so the traffic is denied.
      guard let rules = union(ruling.lists, &unions), let id = allocations.ruleSets.allocate(slot) else { continue }
      slots.insert(slot)
      map[slot.key] = PolicyEntry(verdict: .proxy, rule: ruling.rule, proxyRules: id)
      let set = RuleSet(id: id, rules: rules)
      guard ruleSets[id] != set else { continue }
      ruleSets[id] = set
      change.ruleSets.insert(id)
    }
    release((subjects[identity]?.slots ?? []).subtracting(slots), &change)
    subjects[identity]?.slots = slots
    subjects[identity]?.conflicts = conflicts
    if peers == nil {
      maps[identity] = map
      guard map != old else { return }
    } else {
      // Only these entries are touched, in place: there may be many thousand others.
      guard map != gone || old == nil else {
        maps[identity] = old
        return
      }
      if old != nil { change.patches[identity] = PolicyMapPatch(from: gone, to: map) }
      var whole = consume old ?? [:]
      for key in gone.keys where map[key] == nil { whole[key] = nil }
      for (key, entry) in map { whole[key] = entry }
      maps[identity] = whole
    }
    change.maps.insert(identity)
    change.removedMaps.remove(identity)
  }

  mutating func release(_ slots: Set<RuleSetSlot>, _ change: inout PolicyChange) {
    for slot in slots {
      guard let id = allocations.ruleSets[slot] else { continue }
      allocations.ruleSets.release(slot)
      ruleSets[id] = nil
      change.ruleSets.remove(id)
      change.removedRuleSets.insert(id)
    }
  }

  /// The rules of several lists, united.
  private func union(_ lists: [Int], _ unions: inout [[Int]: RuleList]) -> RuleList? {
    if let known = unions[lists] { return known }
    let rules = RuleList.union(lists.compactMap { ruleLists[$0] })
    unions[lists] = rules
    return rules
  }
}

/// Tells most of those that are not in a set of peers, without hashing: maps of thousands are searched for a few.
private struct PeerSieve {
  private var bits = [UInt64](repeating: 0, count: 64)

  init(_ peers: Set<NumericIdentity>) {
    for peer in peers { bits[Int(peer.rawValue >> 6 & 63)] |= 1 << UInt64(peer.rawValue & 63) }
  }

  func mayHold(_ peer: NumericIdentity) -> Bool {
    bits[Int(peer.rawValue >> 6 & 63)] >> UInt64(peer.rawValue & 63) & 1 != 0
  }
}
