import Addressing
import BPF
import CMartletABI
import Identity

/// Which identity an address has when it is not a pod's of this node: the map `martlet_ipcache`, longest prefix first.
public struct IPCache: Sendable {
  let map: BPFMap<martlet_ipcache_key, martlet_ipcache_entry>

  /// Makes the map hold just `desired`. What is added comes before what is removed, so a block never falls back to a
  /// wider one's identity while its own is replaced. Returns how many entries were written or removed.
  @discardableResult
  public func reconcile(_ desired: [CIDR: NumericIdentity]) throws(BPFError) -> Int {
    var present: [CIDR: UInt32] = [:]
    for (key, entry) in try map.entries() {
      if let block = CIDR(key) { present[block] = entry.identity } else { try map.delete(key) }
    }
    var changes = 0
    for (block, identity) in desired where present[block] != identity.rawValue {
      try set(block, identity)
      changes += 1
    }
    for block in present.keys where desired[block] == nil {
      try remove(block)
      changes += 1
    }
    return changes
  }

  public func set(_ block: CIDR, _ identity: NumericIdentity) throws(BPFError) {
    try map.update(martlet_ipcache_key(block), martlet_ipcache_entry(identity: identity.rawValue, flags: 0))
  }

  public func remove(_ block: CIDR) throws(BPFError) { try map.delete(martlet_ipcache_key(block)) }

  /// The identity that the kernel finds for an address that is no pod's of this node; nil when it finds none.
  public func identity(of address: IPAddress) throws(BPFError) -> NumericIdentity? {
    try map.lookup(martlet_ipcache_key(CIDR(address))).map { NumericIdentity(rawValue: $0.identity) }
  }

  /// What the map holds, in the order of the blocks.
  public func entries() throws(BPFError) -> [(block: CIDR, identity: NumericIdentity)] {
    try map.entries()
      .compactMap { key, entry in CIDR(key).map { ($0, NumericIdentity(rawValue: entry.identity)) } }
      .sorted { $0.block < $1.block }
  }
}
