import Addressing
import BPF
import CMartletABI
import Identity
import KernelABI
import Policy

/// Which identity an address has when it is not a pod's of this node: the map `martlet_ipcache`, longest prefix first.
public struct IPCache: Sendable {
  let map: BPFMap<martlet_ipcache_key, martlet_ipcache_entry>
  /// Where changes are told; nil for who only reads.
  var configuration: NodeConfiguration?

  /// The most blocks it can hold.
  public var capacity: Int { Int(map.info.maxEntries) }

  public func count() throws(BPFError) -> Int { try map.count() }

  /// What a map of `capacity` entries can hold of `desired`: reserved identities first, then the wider blocks, so that
  /// an address without an entry of its own falls back to one that covers it.
  public static func selection(
    of desired: [CIDR: NumericIdentity], capacity: Int
  ) -> (held: [CIDR: NumericIdentity], missing: [CIDR: NumericIdentity]) {
    // Before Linux 6.13 a full trie refuses even to change an entry: one place stays free.
    let room = max(0, capacity - 1)
    guard desired.count > room else { return (desired, [:]) }
    let order = desired.sorted { left, right in
      if left.value.isReserved != right.value.isReserved { return left.value.isReserved }
      return (left.key.length, left.key) < (right.key.length, right.key)
    }
    return (
      Dictionary(uniqueKeysWithValues: order.prefix(room).map { ($0.key, $0.value) }),
      Dictionary(uniqueKeysWithValues: order.dropFirst(room).map { ($0.key, $0.value) })
    )
  }

  /// What has to be written so that the map holds just certain blocks, beside the addresses that the proxy has given
  /// identities of names.
  public struct Change: Sendable {
    /// Blocks to be written, wider ones first: an address then never has an identity that is less than what it had.
    let additions: [(block: CIDR, identity: NumericIdentity)]
    let removals: [CIDR]
    /// There is no room for the new blocks beside the old ones.
    let removesFirst: Bool
    /// What becomes of the addresses.
    public let transition: BlockTransition

    var isEmpty: Bool { additions.isEmpty && removals.isEmpty }
  }

  /// Reads what the map holds and compares it with `desired`, which must fit.
  public func change(to desired: [CIDR: NumericIdentity]) throws(BPFError) -> Change {
    var present: [CIDR: NumericIdentity] = [:]
    for (key, entry) in try map.entries() {
      if let block = CIDR(key) {
        present[block] = NumericIdentity(rawValue: entry.identity)
      } else {
        try map.delete(key)
      }
    }
    // The proxy may have written an address whose report is still on its way; `names(except:)` finds what nobody owns.
    let staying = present.filter { $0.value.isOfNames }
    let removals = present.keys.filter { desired[$0] == nil && staying[$0] == nil }
    let new = desired.count - (present.count - removals.count)
    return Change(
      additions: desired.filter { present[$0.key] != $0.value }.map { ($0.key, $0.value) }
        .sorted { $0.block.length < $1.block.length },
      removals: removals, removesFirst: present.count + new > capacity - 1,
      transition: BlockTransition(from: present, to: staying.merging(desired) { $1 }))
  }

  /// The first half of a change. Returns what the kernel refused; it is not in the map, under any identity.
  public func add(_ change: Change) throws(BPFError) -> [CIDR: BPFError] {
    if change.isEmpty { return [:] }
    return try configuration.changingAddresses { () throws(BPFError) in
      if change.removesFirst { for block in change.removals { try delete(block) } }
      var refused: [CIDR: BPFError] = [:]
      for (block, identity) in change.additions {
        do throws(BPFError) { try write(block, identity) } catch {
          refused[block] = error
          try delete(block)
        }
      }
      return refused
    }
  }

  /// The second half of a change.
  public func remove(_ change: Change) throws(BPFError) {
    if change.removesFirst || change.removals.isEmpty { return }
    try configuration.changingAddresses { () throws(BPFError) in
      for block in change.removals { try delete(block) }
    }
  }

  /// Both halves, where no policy counts on the blocks. Returns what the kernel refused.
  @discardableResult
  public func reconcile(_ desired: [CIDR: NumericIdentity]) throws(BPFError) -> [CIDR: BPFError] {
    let change = try change(to: desired)
    let refused = try add(change)
    try remove(change)
    return refused
  }

  public func set(_ block: CIDR, _ identity: NumericIdentity) throws(BPFError) {
    try configuration.changingAddresses { () throws(BPFError) in try write(block, identity) }
  }

  public func remove(_ block: CIDR) throws(BPFError) {
    try configuration.changingAddresses { () throws(BPFError) in try delete(block) }
  }

  private func write(_ block: CIDR, _ identity: NumericIdentity) throws(BPFError) {
    try map.update(martlet_ipcache_key(block), martlet_ipcache_entry(identity: identity.rawValue, flags: 0))
  }

  private func delete(_ block: CIDR) throws(BPFError) { try map.delete(martlet_ipcache_key(block)) }

  /// The identity that the kernel finds for an address that is no pod's of this node; nil when it finds none.
  public func identity(of address: IPAddress) throws(BPFError) -> NumericIdentity? {
    try map.lookup(martlet_ipcache_key(CIDR(address))).map { NumericIdentity(rawValue: $0.identity) }
  }

  /// The addresses with an identity of names that are not among `known`.
  public func names(except known: Set<IPAddress>) throws(BPFError) -> Set<IPAddress> {
    var found: Set<IPAddress> = []
    try map.forEachEntry { key, entry in
      guard NumericIdentity(rawValue: entry.identity).isOfNames, let block = CIDR(key) else { return }
      if !known.contains(block.address) { found.insert(block.address) }
    }
    return found
  }

  /// What the map holds, in the order of the blocks.
  public func entries() throws(BPFError) -> [(block: CIDR, identity: NumericIdentity)] {
    try map.entries()
      .compactMap { key, entry in CIDR(key).map { ($0, NumericIdentity(rawValue: entry.identity)) } }
      .sorted { $0.block < $1.block }
  }
}

extension BPFMap {
  /// How many entries there are, by walking them.
  func count() throws(BPFError) -> Int {
    var count = 0
    try forEachEntry { _, _ in count += 1 }
    return count
  }
}
