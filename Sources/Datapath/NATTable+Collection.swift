import Addressing
import BPF
import CMartletABI
import KernelABI

/// What a collection of the translated connections found.
public struct TranslationCollection: Hashable, Sendable {
  /// Entries that are left; a connection has two.
  public var live = 0
  /// Connections removed because they were over.
  public var expired = 0
  /// Connections removed before their time, to make room.
  public var evicted = 0
  /// How many source ports the address and port with the most connections takes; 0 where nothing comes near to what there is.
  public var ports = 0

  public init(live: Int = 0, expired: Int = 0, evicted: Int = 0, ports: Int = 0) {
    self.live = live
    self.expired = expired
    self.evicted = evicted
    self.ports = ports
  }
}

extension NATTable {
  /// From here on connections make room for new ones: of the map, and of the source ports towards one address and port.
  static let watermark = 0.8
  /// How full eviction leaves either.
  static let target = 0.7
  /// Nothing younger is evicted, in seconds: its answer may be on its way.
  static let grace: UInt32 = 2
  /// Connections that were answered are idle after so many seconds without a packet.
  static let idle: UInt32 = 60

  /// Removes the connections of which both ways have expired. When the map or the source ports towards one destination are
  /// nearly all taken, also others: first those that nobody answered or that are over, then idle ones; the longest
  /// without a packet first. Never one that is in use: a flood must not end what is established.
  public func collectGarbage() throws(BPFError) -> TranslationCollection {
    let now = ConnectionTable.now()
    let configuration = try self.configuration.lookup(0) ?? martlet_config()
    let lifetimes = ConnectionLifetimes(configuration)
    var collection = TranslationCollection()
    var expired: [martlet_nat_key] = []
    var replies = 0
    try map.forEachEntry { key, entry in
      collection.live += 1
      if entry.expires < now { expired.append(key) }
      if NATTable.takesPort(key, entry, configuration) { replies += 1 }
    }
    for key in expired {
      let removed = try removePair(PacketTuple(key)) { $0.expires < now }
      if removed > 0 { collection.expired += 1 }
      collection.live -= removed
    }
    if Double(collection.live) >= Double(capacity) * NATTable.watermark {
      let surplus = (collection.live - Int(Double(capacity) * NATTable.target) + 1) / 2
      let candidates = try candidates(now, lifetimes)
      collection.live -= try evict(candidates, upTo: surplus, &collection)
    }
    let ports = Int(configuration.nat_port_last) - Int(configuration.nat_port_first) + 1
    let limit = Int(Double(ports) * NATTable.watermark)
    // Only then can one destination have so many.
    if configuration.nat_port_last != 0, replies >= limit / 2 {
      collection.live -= try evictCrowds(
        ports: ports, now, lifetimes, configuration, &collection)
    }
    return collection
  }

  private func evictCrowds(
    ports: Int, _ now: UInt32, _ lifetimes: ConnectionLifetimes, _ configuration: martlet_config,
    _ collection: inout TranslationCollection
  ) throws(BPFError) -> Int {
    var crowds: [Peer: Int] = [:]
    try map.forEachEntry { key, entry in
      if NATTable.takesPort(key, entry, configuration) { crowds[Peer(replying: PacketTuple(key)), default: 0] += 1 }
    }
    collection.ports = crowds.values.max() ?? 0
    let limit = Double(ports) * NATTable.watermark
    let crowded = crowds.filter { Double($0.value) >= limit }
    guard !crowded.isEmpty else { return 0 }
    var byPeer: [Peer: [Candidate]] = [:]
    for candidate in try candidates(now, lifetimes) {
      if crowded[candidate.peer] != nil { byPeer[candidate.peer, default: []].append(candidate) }
    }
    var removed = 0
    for (peer, count) in crowded {
      let surplus = count - Int(Double(ports) * NATTable.target)
      removed += try evict(byPeer[peer] ?? [], upTo: surplus, &collection)
    }
    return removed
  }

  /// Whether an entry is of a way back that arrives at one of the ports given to translated connections.
  private static func takesPort(
    _ key: martlet_nat_key, _ entry: martlet_nat_entry, _ configuration: martlet_config
  ) -> Bool {
    let port = UInt16(bigEndian: key.destination_port)
    return entry.has(MARTLET_NAT_REPLY) && configuration.nat_port_first <= port && port <= configuration.nat_port_last
  }

  /// Between whom a source port has one use only.
  private struct Peer: Hashable {
    var far: ConnectionEnd
    var near: ConnectionEnd
    var ipProtocol: UInt8

    init(replying tuple: PacketTuple) {
      (far, ipProtocol) = (tuple.source, tuple.ipProtocol)
      near = ConnectionEnd(tuple.destination.address, port: 0)
    }
  }

  /// A connection that may go.
  private struct Candidate {
    var tuple: PacketTuple
    var peer: Peer
    /// Of the entry when it was read: another value tells that a packet has come since.
    var expires: UInt32
    /// Since when there was no packet, in seconds.
    var idle: UInt32
    var isUnanswered: Bool
  }

  private func candidates(_ now: UInt32, _ lifetimes: ConnectionLifetimes) throws(BPFError) -> [Candidate] {
    var entries: [(martlet_nat_key, martlet_nat_entry)] = []
    try map.forEachEntry {
      if !$1.has(MARTLET_NAT_REPLY), $1.created + NATTable.grace <= now { entries.append(($0, $1)) }
    }
    var found: [Candidate] = []
    for (key, entry) in entries {
      let tuple = PacketTuple(key)
      var idle = lifetimes.idle(entry, tuple.ipProtocol, now)
      let on = entry.onward(tuple.ipProtocol)
      if let back = try map.lookup(on.reversed.key), back.leads(to: tuple, tuple.ipProtocol) {
        idle = min(idle, lifetimes.idle(back, tuple.ipProtocol, now))
      }
      let isUnanswered = entry.isOver || !entry.has(MARTLET_NAT_SEEN_REPLY)
      guard isUnanswered || idle >= NATTable.idle else { continue }
      found.append(
        Candidate(
          tuple: tuple, peer: Peer(replying: on.reversed), expires: entry.expires, idle: idle,
          isUnanswered: isUnanswered))
    }
    return found.sorted { ($0.isUnanswered ? 0 : 1, $1.idle) < ($1.isUnanswered ? 0 : 1, $0.idle) }
  }

  /// Removes the first of them; how many entries those had.
  private func evict(
    _ candidates: [Candidate], upTo count: Int, _ collection: inout TranslationCollection
  ) throws(BPFError) -> Int {
    var entries = 0
    var connections = 0
    for candidate in candidates where connections < count {
      guard let entry = try map.lookup(candidate.tuple.key), entry.expires == candidate.expires else { continue }
      let removed = try removePair(candidate.tuple) { _ in true }
      if removed > 0 { connections += 1 }
      entries += removed
    }
    collection.evicted += connections
    return entries
  }

  /// Removes a connection's entries if both, or the only one, are still as `condition` wants: a packet may have come since
  /// they were read. Returns how many there were.
  private func removePair(
    _ tuple: PacketTuple, where condition: (martlet_nat_entry) -> Bool
  ) throws(BPFError) -> Int {
    guard let entry = try map.lookup(tuple.key), condition(entry) else { return 0 }
    let partner = entry.onward(tuple.ipProtocol).reversed
    let other = try map.lookup(partner.key).flatMap { $0.leads(to: tuple, tuple.ipProtocol) ? $0 : nil }
    if let other, !condition(other) { return 0 }
    var removed = try map.delete(tuple.key) ? 1 : 0
    if other != nil, try map.delete(partner.key) { removed += 1 }
    return removed
  }
}

/// How long entries stay after a packet, in seconds: `ct_lifetime` in bpf/conntrack.h.
struct ConnectionLifetimes {
  private let configuration: martlet_config

  init(_ configuration: martlet_config) { self.configuration = configuration }

  /// Seconds since the last packet that an entry saw.
  func idle(_ entry: martlet_nat_entry, _ ipProtocol: UInt8, _ now: UInt32) -> UInt32 {
    let last = Int64(entry.expires) - Int64(lifetime(entry, ipProtocol))
    return UInt32(clamping: Int64(now) - last)
  }

  private func lifetime(_ entry: martlet_nat_entry, _ ipProtocol: UInt8) -> UInt32 {
    let seenReply = entry.has(MARTLET_NAT_SEEN_REPLY)
    if TransportProtocol(ipProtocol) != .tcp { return seenReply ? configuration.ct_any_stream : configuration.ct_any }
    if entry.isOver { return configuration.ct_tcp_closing }
    return seenReply ? configuration.ct_tcp_established : configuration.ct_tcp_syn
  }
}
