import Addressing
import CMartletABI

/// One end of a connection.
public struct ConnectionEnd: Hashable, Sendable {
  public var address: IPAddress
  /// ICMP echo: the identifier at the end that asks, 0 at the one that answers.
  public var port: UInt16

  public init(_ address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }
}

extension martlet_ct_key {
  /// The key under which the programs track a connection (`ct_key_fill` in bpf/conntrack.h), and whether `client` is its
  /// end b. Ends are ordered as the programs order them: by the words in memory, which hold network byte order, read as
  /// numbers of this machine.
  public static func of(
    client: ConnectionEnd, server: ConnectionEnd, ipProtocol: UInt8, zone: martlet_ct_zone = MARTLET_CT_DIRECT
  ) -> (key: martlet_ct_key, clientIsB: Bool) {
    let from = (martlet_addr(client.address), client.port.bigEndian)
    let to = (martlet_addr(server.address), server.port.bigEndian)
    let clientIsB = (from.0.hi, from.0.lo, from.1) > (to.0.hi, to.0.lo, to.1)
    let (a, b) = clientIsB ? (to, from) : (from, to)
    return (
      martlet_ct_key(
        a: a.0, b: b.0, port_a: a.1, port_b: b.1, protocol: ipProtocol, zone: UInt8(zone.rawValue), pad: 0),
      clientIsB
    )
  }

  public var endA: ConnectionEnd { ConnectionEnd(IPAddress(a), port: UInt16(bigEndian: port_a)) }
  public var endB: ConnectionEnd { ConnectionEnd(IPAddress(b), port: UInt16(bigEndian: port_b)) }
}

extension martlet_ct_entry {
  public func has(_ flag: martlet_ct_flags) -> Bool { flags & UInt32(flag.rawValue) != 0 }

  /// Both ends have finished, or one has broken it off.
  public var isClosed: Bool {
    has(MARTLET_CT_RST) || (has(MARTLET_CT_FIN_ORIGIN) && has(MARTLET_CT_FIN_REPLY))
  }
}
