import BPF
import CMartletABI
import KernelABI

/// What a collection of the connection table found.
public struct ConnectionCollection: Hashable, Sendable {
  /// Connections that are left.
  public var live = 0
  public var expired = 0
  /// Removed before their time, because the table was nearly full.
  public var evicted = 0
}

extension ConnectionTable {
  /// From here on connections that nobody answered, or that are closing, make room for new ones.
  static let watermark = 0.9
  /// How full eviction leaves the table.
  static let target = 0.8
  /// Nothing younger is evicted, in seconds: its answer may be on its way.
  static let grace: UInt64 = 2

  /// Removes what has expired. When that leaves the table nearly full, removes also connections that never saw an answer
  /// or that both ends have closed. Never one that lives: a flood must not end what is established. What was evicted
  /// wrongly is judged and tracked again with its next packet.
  public func collectGarbage() throws(BPFError) -> ConnectionCollection {
    var collection = ConnectionCollection()
    let now = ConnectionTable.now()
    var expired: [martlet_ct_key] = []
    try map.forEachEntry { key, entry in
      if entry.expires < now { expired.append(key) } else { collection.live += 1 }
    }
    collection.expired = try remove(expired) { $0.expires < now }
    let surplus = collection.live - Int(Double(capacity) * ConnectionTable.target)
    if Double(collection.live) >= Double(capacity) * ConnectionTable.watermark {
      collection.evicted = try evict(upTo: surplus)
      collection.live -= collection.evicted
    }
    return collection
  }

  private func evict(upTo count: Int) throws(BPFError) -> Int {
    let now = UInt64(ConnectionTable.now())
    var keys: [martlet_ct_key] = []
    try map.forEachEntry { key, entry in
      if keys.count < count, ConnectionTable.isExpendable(entry, now: now) { keys.append(key) }
    }
    return try remove(keys) { ConnectionTable.isExpendable($0, now: now) }
  }

  /// Removes the connections that still are as `condition` wants: a packet may have come since they were read.
  private func remove(
    _ keys: [martlet_ct_key], where condition: (martlet_ct_entry) -> Bool
  ) throws(BPFError) -> Int {
    var removed = 0
    for key in keys {
      if let entry = try map.lookup(key), condition(entry), try map.delete(key) { removed += 1 }
    }
    return removed
  }

  static func isExpendable(_ entry: martlet_ct_entry, now: UInt64) -> Bool {
    guard entry.created_ns / 1_000_000_000 + grace <= now else { return false }
    return entry.isClosed || !entry.has(MARTLET_CT_SEEN_REPLY)
  }
}
