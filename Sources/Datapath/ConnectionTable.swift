import Addressing
import BPF
import CMartletABI
import KernelABI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One tracked connection, told from its initiator.
public struct Connection: Hashable, Sendable {
  public var source: IPAddress
  public var destination: IPAddress
  public var sourcePort: UInt16
  public var destinationPort: UInt16
  public var ipProtocol: UInt8
  /// The proxy's own connection on a client's behalf.
  public var isUpstream: Bool
  /// Seconds until it is forgotten unless another packet comes; not positive when it is already.
  public var secondsLeft: Int
  public var originIdentity: UInt32
  public var replyIdentity: UInt32
  public var egressRule: UInt32
  public var ingressRule: UInt32
  public var proxyRules: UInt32
  /// The kernel's number of the service by which the initiator came; 0: none.
  public var service: UInt32
  /// The initiator's rule set when both ends have one; else 0.
  public var egressProxyRules: UInt32
  public var isProxied: Bool
  public var seenReply: Bool
  public var isClosing: Bool

  init(_ key: martlet_ct_key, _ entry: martlet_ct_entry, now: UInt32) {
    let (origin, responder) = entry.has(MARTLET_CT_ORIGIN_B) ? (key.endB, key.endA) : (key.endA, key.endB)
    (source, sourcePort) = (origin.address, origin.port)
    (destination, destinationPort) = (responder.address, responder.port)
    ipProtocol = key.protocol
    isUpstream = key.zone == UInt8(MARTLET_CT_UPSTREAM.rawValue)
    secondsLeft = Int(entry.expires) - Int(now)
    originIdentity = entry.origin_identity
    replyIdentity = entry.reply_identity
    egressRule = entry.egress_rule
    ingressRule = entry.ingress_rule
    proxyRules = entry.proxy_rules
    service = entry.service
    egressProxyRules = entry.egress_proxy_rules
    isProxied = entry.has(MARTLET_CT_PROXY)
    seenReply = entry.has(MARTLET_CT_SEEN_REPLY)
    isClosing = entry.isClosed
  }
}

/// The connections the kernel tracks: the map `martlet_conntrack`.
public struct ConnectionTable: Sendable {
  let map: BPFMap<martlet_ct_key, martlet_ct_entry>

  /// The most entries it can hold; a new connection beyond them is dropped.
  public var capacity: Int { Int(map.info.maxEntries) }

  public func connections() throws(BPFError) -> [Connection] {
    let now = ConnectionTable.now()
    var found: [Connection] = []
    try map.forEachEntry { found.append(Connection($0, $1, now: now)) }
    return found
  }

  public func count() throws(BPFError) -> Int {
    try map.count()
  }

  /// The rule sets that some connection was given to the proxy with.
  public func proxyRules() throws(BPFError) -> Set<UInt32> {
    var found: Set<UInt32> = []
    try map.forEachEntry { _, entry in
      for set in [entry.proxy_rules, entry.egress_proxy_rules] where set != 0 { found.insert(set) }
    }
    return found
  }

  /// Those of `addresses` that are an end of a connection which has neither expired nor been closed by both ends.
  public func living(_ addresses: Set<IPAddress>) throws(BPFError) -> Set<IPAddress> {
    let now = ConnectionTable.now()
    var found: Set<IPAddress> = []
    try map.forEachEntry { key, entry in
      guard entry.expires > now, !entry.isClosed else { return }
      for end in [IPAddress(key.a), IPAddress(key.b)] where addresses.contains(end) { found.insert(end) }
    }
    return found
  }

  /// Removes every connection with one end at an address that is no longer anybody's.
  public func remove(addresses: Set<IPAddress>) throws(BPFError) {
    var stale: [martlet_ct_key] = []
    try map.forEachEntry { key, _ in
      if addresses.contains(IPAddress(key.a)) || addresses.contains(IPAddress(key.b)) { stale.append(key) }
    }
    for key in stale { try map.delete(key) }
  }

  /// Seconds of the clock that entries expire by.
  static func now() -> UInt32 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt32(truncatingIfNeeded: time.tv_sec)
  }
}
