#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The UDP sockets by which servers are asked, each connected to one server from the address of one client. A query goes
/// by one of a few sockets, chosen at random as its id is; sockets are replaced after a while. Who wants to answer in a
/// server's place must guess port and id in time.
struct DNSUpstreams {
  struct Key: Hashable {
    let client: SocketAddress
    let server: SocketAddress
  }

  final class Upstream {
    let fd: Int32
    let slot: Int
    let key: Key
    let createdAt: UInt64
    var uses = 0
    var usedAt: UInt64
    var exchanges: [UInt16: DNSExchange] = [:]
    var isRetired = false

    init(fd: Int32, slot: Int, key: Key, now: UInt64) {
      self.fd = fd
      self.slot = slot
      self.key = key
      createdAt = now
      usedAt = now
    }
  }

  private(set) var slots: [Upstream?] = []
  private var free: [Int] = []
  private var byKey: [Key: [Upstream]] = [:]
  private var random = SystemRandomNumberGenerator()

  static let socketsOfPair = 4
  static let maximumSockets = 8192
  static let maximumUses = 4096
  static let maximumAge: UInt64 = 60_000_000_000
  static let idle: UInt64 = 10_000_000_000

  var count: Int { slots.count - free.count }

  subscript(slot: Int) -> Upstream? { slots.indices.contains(slot) ? slots[slot] : nil }

  /// A socket for the next query, an old one or one that `open` makes; nil when none can be had.
  mutating func socket(
    client: SocketAddress, server: SocketAddress, now: UInt64, open: (Int) -> Int32
  ) -> Upstream? {
    let key = Key(client: SocketAddress(client.address, port: 0), server: server)
    let known = byKey[key] ?? []
    if known.count >= DNSUpstreams.socketsOfPair || (!known.isEmpty && count >= DNSUpstreams.maximumSockets) {
      let chosen = known[Int.random(in: 0..<known.count, using: &random)]
      chosen.uses += 1
      chosen.usedAt = now
      if chosen.uses >= DNSUpstreams.maximumUses || now &- chosen.createdAt > DNSUpstreams.maximumAge {
        retire(chosen)
      }
      return chosen
    }
    guard count < DNSUpstreams.maximumSockets else { return nil }
    let slot = free.popLast() ?? slots.count
    let fd = open(slot)
    guard fd >= 0 else {
      if slot < slots.count { free.append(slot) }
      return known.first
    }
    let new = Upstream(fd: fd, slot: slot, key: key, now: now)
    new.uses = 1
    if slot == slots.count { slots.append(new) } else { slots[slot] = new }
    byKey[key, default: []].append(new)
    return new
  }

  /// An id that no query on the socket has now; nil when it is crowded.
  mutating func id(on upstream: Upstream) -> UInt16? {
    for _ in 0..<64 {
      let id = UInt16.random(in: 0...UInt16.max, using: &random)
      if upstream.exchanges[id] == nil { return id }
    }
    return nil
  }

  /// No more queries by it; it is closed when its last one is answered or given up.
  private mutating func retire(_ upstream: Upstream) {
    guard !upstream.isRetired else { return }
    upstream.isRetired = true
    byKey[upstream.key]?.removeAll { $0 === upstream }
    if byKey[upstream.key]?.isEmpty == true { byKey[upstream.key] = nil }
  }

  mutating func close(_ upstream: Upstream) {
    retire(upstream)
    guard slots[upstream.slot] === upstream else { return }
    Glibc.close(upstream.fd)
    slots[upstream.slot] = nil
    free.append(upstream.slot)
  }

  /// Takes out what has waited since before `since`, and closes what is no longer used.
  mutating func sweep(now: UInt64, since: UInt64, _ expire: (DNSExchange) -> Void) {
    for case let upstream? in slots {
      for (id, exchange) in upstream.exchanges where exchange.startedAt <= since {
        upstream.exchanges[id] = nil
        expire(exchange)
      }
      guard upstream.exchanges.isEmpty else { continue }
      if upstream.isRetired || now &- upstream.usedAt > DNSUpstreams.idle { close(upstream) }
    }
  }

  mutating func closeAll() {
    for case let upstream? in slots { close(upstream) }
  }
}
