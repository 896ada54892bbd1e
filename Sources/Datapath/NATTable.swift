import Addressing
import BPF
import CMartletABI
import KernelABI

/// One translated connection, told from its initiator.
public struct Translation: Hashable, Sendable {
  public var ipProtocol: UInt8
  /// As the initiator sends.
  public var source: ConnectionEnd
  public var destination: ConnectionEnd
  /// As its packets go on.
  public var translatedSource: ConnectionEnd
  public var translatedDestination: ConnectionEnd
  /// The kernel's numbers; both 0 where only the source is replaced (masquerading).
  public var service: UInt32
  public var backend: UInt32
  /// A pod that reaches itself by a service.
  public var isHairpin: Bool
  /// Only one direction passes here: another node leads clients to a backend here, or this one to a backend elsewhere.
  public var isOneWay: Bool
  public var seenReply: Bool
  public var isClosing: Bool
  /// One of the two entries of the connection is missing.
  public var isIncomplete: Bool
  /// Seconds until it is forgotten unless another packet comes; not positive when it is already.
  public var secondsLeft: Int
  /// Seconds.
  public var age: Int
}

/// The connections whose packets the kernel translates: the map `martlet_nat`. Each has an entry for the way there and one
/// for the way back.
public struct NATTable: Sendable {
  let map: BPFMap<martlet_nat_key, martlet_nat_entry>
  let configuration: BPFMap<UInt32, martlet_config>

  /// The pinned table of an instance, for those who only read.
  public static func pinned(_ pins: DatapathPins) throws(BPFError) -> NATTable {
    NATTable(map: try .fromPin(pins.map(.nat)), configuration: try .fromPin(pins.map(.configuration)))
  }

  /// The most entries it can hold; a connection has two. A new connection beyond them is dropped.
  public var capacity: Int { Int(map.info.maxEntries) }

  /// How many entries there are.
  public func count() throws(BPFError) -> Int { try map.count() }

  /// All of them, by the initiators' ends.
  public func translations() throws(BPFError) -> [Translation] {
    let now = ConnectionTable.now()
    var entries: [PacketTuple: martlet_nat_entry] = [:]
    try map.forEachEntry { entries[PacketTuple($0)] = $1 }
    var found: [Translation] = []
    for (tuple, entry) in entries {
      let partner = entry.onward(tuple.ipProtocol).reversed
      let other = entries[partner].flatMap { $0.leads(to: tuple, tuple.ipProtocol) ? $0 : nil }
      // The way there tells of both.
      if entry.has(MARTLET_NAT_REPLY), other != nil { continue }
      let (there, on) =
        entry.has(MARTLET_NAT_REPLY) ? (partner, tuple.reversed) : (tuple, entry.onward(tuple.ipProtocol))
      found.append(
        Translation(
          ipProtocol: tuple.ipProtocol, source: there.source, destination: there.destination,
          translatedSource: on.source, translatedDestination: on.destination, service: entry.service,
          backend: entry.backend, isHairpin: entry.has(MARTLET_NAT_HAIRPIN),
          isOneWay: entry.has(MARTLET_NAT_ONE_WAY), seenReply: entry.has(MARTLET_NAT_SEEN_REPLY),
          isClosing: entry.isOver, isIncomplete: other == nil,
          secondsLeft: Int(max(entry.expires, other?.expires ?? 0)) - Int(now), age: Int(now) - Int(entry.created)))
    }
    return found.sorted {
      ($0.source.address, $0.source.port, $0.destination.address, $0.destination.port)
        < ($1.source.address, $1.source.port, $1.destination.address, $1.destination.port)
    }
  }

  /// Removes every connection that begins or ends at an address that is no longer anybody's.
  public func remove(addresses: Set<IPAddress>) throws(BPFError) {
    var stale: [martlet_nat_key] = []
    try map.forEachEntry { key, entry in
      let ends = [key.source, key.destination, entry.source, entry.destination]
      if ends.contains(where: { addresses.contains(IPAddress($0)) }) { stale.append(key) }
    }
    for key in stale { try map.delete(key) }
  }
}

/// What tells one connection's packets in one direction.
struct PacketTuple: Hashable {
  var source: ConnectionEnd
  var destination: ConnectionEnd
  var ipProtocol: UInt8

  init(source: ConnectionEnd, destination: ConnectionEnd, ipProtocol: UInt8) {
    self.source = source
    self.destination = destination
    self.ipProtocol = ipProtocol
  }

  init(_ key: martlet_nat_key) {
    self.init(
      source: ConnectionEnd(IPAddress(key.source), port: UInt16(bigEndian: key.source_port)),
      destination: ConnectionEnd(IPAddress(key.destination), port: UInt16(bigEndian: key.destination_port)),
      ipProtocol: key.protocol)
  }

  var key: martlet_nat_key {
    martlet_nat_key(
      source: martlet_addr(source.address), destination: martlet_addr(destination.address),
      source_port: source.port.bigEndian, destination_port: destination.port.bigEndian, protocol: ipProtocol,
      pad: (0, 0, 0))
  }

  var reversed: PacketTuple { PacketTuple(source: destination, destination: source, ipProtocol: ipProtocol) }
}

extension martlet_nat_entry {
  func has(_ flag: martlet_nat_flags) -> Bool { flags & UInt32(flag.rawValue) != 0 }

  /// Both ends have finished, or one has broken it off.
  var isOver: Bool { has(MARTLET_NAT_RST) || (has(MARTLET_NAT_FIN_ORIGIN) && has(MARTLET_NAT_FIN_REPLY)) }

  /// The tuple that packets go on with.
  func onward(_ ipProtocol: UInt8) -> PacketTuple {
    PacketTuple(
      source: ConnectionEnd(IPAddress(source), port: UInt16(bigEndian: source_port)),
      destination: ConnectionEnd(IPAddress(destination), port: UInt16(bigEndian: destination_port)),
      ipProtocol: ipProtocol)
  }

  /// Whether it belongs to a pair with the entry for `tuple`: a new connection may have taken the place of the other one.
  func leads(to tuple: PacketTuple, _ ipProtocol: UInt8) -> Bool { onward(ipProtocol).reversed == tuple }
}
