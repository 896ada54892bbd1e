import BPF
import CMartletABI
import Identity
import Policy

/// The policy of every subject identity: the map of maps `martlet_policy`.
public struct PolicyTables: Sendable {
  let outer: MapOfMaps<UInt32>
  /// The type and the size of the inner maps, as the object defines them.
  let innerCapacity: UInt32

  /// The most identities that can have a policy.
  public var capacity: Int { Int(outer.raw.info.maxEntries) }
  /// The most entries that the policy of one identity can have.
  public var entryCapacity: Int { Int(innerCapacity) }

  /// A policy that has more entries than a map of this kernel side may hold.
  public struct TooLarge: Error, CustomStringConvertible {
    public let identity: NumericIdentity
    public let entries: Int
    public let capacity: Int

    public var description: String {
      "the policy of identity \(identity) has \(entries) entries, its map holds \(capacity)"
    }
  }

  /// Replaces the policy of one identity. The new map is filled before it takes the place of the old one with a single
  /// write, so a packet meets the old policy or the new one, never a mix.
  public func replace(_ identity: NumericIdentity, with state: PolicyMapState) throws {
    if let error = replace([identity: state])[identity] { throw error }
  }

  /// As the above for many identities, each by itself; returns those that were refused, and why.
  ///
  /// - Parameter settling: Returns only when no packet is under way that may still use an old map, some 10 ms later: once for
  ///   all of a batch. Else as soon as each packet that comes meets the new ones.
  public func replace(
    _ policies: [NumericIdentity: PolicyMapState], settling: Bool = true
  ) -> [NumericIdentity: any Error] {
    var refused: [NumericIdentity: any Error] = [:]
    var batch: [NumericIdentity: RawMap] = [:]
    func flush() {
      do { try put(batch, settling: settling) } catch {
        for (identity, inner) in batch {
          do { try outer.update(identity.rawValue, inner) } catch { refused[identity] = error }
        }
      }
      batch = [:]
    }
    for (identity, state) in policies {
      do { batch[identity] = try inner(of: identity, holding: state) } catch { refused[identity] = error }
      // Each map of a batch takes a descriptor.
      if batch.count == 128 { flush() }
    }
    flush()
    return refused
  }

  private func put(_ batch: [NumericIdentity: RawMap], settling: Bool) throws(BPFError) {
    let inners = batch.map { (key: $0.key.rawValue, inner: $0.value) }
    if settling {
      // Where there was no map, no packet can be under way that uses it.
      for key in batch.keys where try outer.innerID(key.rawValue) != nil { return try outer.update(inners) }
    }
    try GracePeriod.skipping { [outer] () throws(BPFError) in
      try outer.update(inners)
    } until: { () throws(BPFError) in
      for (key, inner) in inners where try outer.innerID(key) != inner.info.id { return false }
      return true
    }
  }

  /// Changes the map that the kernel holds for one identity; false when it holds none. After an error the map is to be
  /// replaced.
  public func apply(_ patch: PolicyMapPatch, to identity: NumericIdentity) throws(BPFError) -> Bool {
    guard let raw = try outer.inner(identity.rawValue) else { return false }
    let map = try BPFMap<martlet_policy_key, martlet_policy_entry>(raw)
    for key in patch.removals { try map.delete(martlet_policy_key(key)) }
    for addition in patch.additions {
      try map.update(martlet_policy_key(addition.key), martlet_policy_entry(addition.entry))
    }
    return true
  }

  private func inner(of identity: NumericIdentity, holding state: PolicyMapState) throws -> RawMap {
    let entries = PolicyTables.entries(of: state)
    guard entries.count <= innerCapacity else {
      throw TooLarge(identity: identity, entries: entries.count, capacity: Int(innerCapacity))
    }
    let inner = try BPFMap<martlet_policy_key, martlet_policy_entry>.create(
      .lpmTrie, name: "martlet_pol", maxEntries: innerCapacity, flags: .noPreallocation)
    try inner.update(entries)
    return inner.raw
  }

  /// The kernel's entries. Those of peer 0 say whether classes of peers have some too; where there is none to say it, one
  /// that decides nothing does, which ``state(_:)`` does not show.
  private static func entries(of state: PolicyMapState) -> [(key: martlet_policy_key, value: martlet_policy_entry)] {
    let directions = Set(state.keys.lazy.filter { PeerClass(rawValue: $0.peer.rawValue) != nil }.map(\.direction))
    var entries = state.map { (key: martlet_policy_key($0.key), value: martlet_policy_entry($0.value)) }
    if directions.isEmpty { return entries }
    let flag = UInt8(MARTLET_POLICY_HAS_CLASSES.rawValue)
    for index in entries.indices where entries[index].key.peer == NumericIdentity.any.rawValue {
      guard directions.contains(where: { $0.rawValue == entries[index].key.direction }) else { continue }
      entries[index].value.flags = flag
    }
    for direction in directions {
      let root = PolicyKey(peer: .any, direction: direction, prefixLength: PolicyKey.peerPrefix)
      guard state[root] == nil else { continue }
      var value = martlet_policy_entry()
      value.flags = flag
      entries.append((key: martlet_policy_key(root), value: value))
    }
    return entries
  }

  /// Forgets an identity that no pod of this node has; a packet of it that is still under way is dropped.
  public func remove(_ identity: NumericIdentity) throws(BPFError) {
    try GracePeriod.skipping { [outer] () throws(BPFError) in
      try outer.delete(identity.rawValue)
    } until: { () throws(BPFError) in
      try outer.innerID(identity.rawValue) == nil
    }
  }

  public func identities() throws(BPFError) -> [NumericIdentity] {
    try outer.entries().map { NumericIdentity(rawValue: $0.key) }.sorted()
  }

  /// What the kernel holds for one identity; nil when it holds nothing.
  public func state(_ identity: NumericIdentity) throws(BPFError) -> PolicyMapState? {
    guard let raw = try outer.inner(identity.rawValue) else { return nil }
    let map = try BPFMap<martlet_policy_key, martlet_policy_entry>(raw)
    return try map.entries().reduce(into: [:]) { state, element in
      guard let key = PolicyKey(element.key), let entry = PolicyEntry(element.value) else { return }
      state[key] = entry
    }
  }

  /// The rule sets that some policy names.
  public func proxyRules() throws(BPFError) -> Set<UInt32> {
    var found: Set<UInt32> = []
    for identity in try identities() {
      for entry in (try state(identity) ?? [:]).values where entry.proxyRules != 0 { found.insert(entry.proxyRules) }
    }
    return found
  }
}

extension martlet_policy_key {
  init(_ key: PolicyKey) {
    self.init(
      prefix_length: UInt32(key.prefixLength), peer: key.peer.rawValue, direction: key.direction.rawValue,
      protocol: key.protocol, port: key.port.bigEndian)
  }
}

extension PolicyKey {
  init?(_ key: martlet_policy_key) {
    guard let direction = Direction(rawValue: key.direction), key.prefix_length <= 64 else { return nil }
    self.init(
      peer: NumericIdentity(rawValue: key.peer), direction: direction, protocol: key.protocol,
      port: UInt16(bigEndian: key.port), prefixLength: UInt8(key.prefix_length))
  }
}

extension martlet_policy_entry {
  init(_ entry: PolicyEntry) {
    self.init(rule: entry.rule, proxy_rules: entry.proxyRules, verdict: entry.verdict.rawValue, flags: 0, pad: (0, 0))
  }
}

extension PolicyEntry {
  init?(_ entry: martlet_policy_entry) {
    guard let verdict = Verdict(rawValue: entry.verdict) else { return nil }
    self.init(verdict: verdict, rule: entry.rule, proxyRules: entry.proxy_rules)
  }
}
