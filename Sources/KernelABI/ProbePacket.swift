import Addressing

/// The first packet of a connection, as a pod or the node's stack would send it: what a trace shows to the program.
public struct ProbePacket: Hashable, Sendable {
  public var sourceMAC: MACAddress
  public var destinationMAC: MACAddress
  public var source: IPAddress
  public var destination: IPAddress
  /// IPPROTO_*.
  public var ipProtocol: UInt8
  public var sourcePort: UInt16
  /// ICMP and ICMPv6: the type.
  public var destinationPort: UInt16

  public init(
    sourceMAC: MACAddress, destinationMAC: MACAddress, source: IPAddress, destination: IPAddress, ipProtocol: UInt8,
    sourcePort: UInt16 = 40_000, destinationPort: UInt16
  ) {
    self.sourceMAC = sourceMAC
    self.destinationMAC = destinationMAC
    self.source = source
    self.destination = destination
    self.ipProtocol = ipProtocol
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
  }

  /// From the Ethernet header on. Checksums of TCP, UDP and ICMP are left zero; the programs do not verify them.
  public var bytes: [UInt8] {
    let payload = transport
    var packet = destinationMAC.bytes + sourceMAC.bytes
    if source.isIPv4 {
      packet += [0x08, 0x00]
      var header: [UInt8] = [0x45, 0] + big(UInt16(20 + payload.count)) + [0, 1, 0x40, 0, 64, ipProtocol, 0, 0]
      header += source.familyBytes + destination.familyBytes
      let sum = ProbePacket.checksum(header)
      header.replaceSubrange(10..<12, with: big(sum))
      packet += header
    } else {
      packet += [0x86, 0xDD, 0x60, 0, 0, 0] + big(UInt16(payload.count)) + [ipProtocol, 64]
      packet += source.bytes + destination.bytes
    }
    return packet + payload
  }

  private var transport: [UInt8] {
    switch TransportProtocol(ipProtocol) {
    case .tcp:
      big(sourcePort) + big(destinationPort) + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xFF, 0xFF, 0, 0, 0, 0]
    case .icmp, .icmpv6: [UInt8(truncatingIfNeeded: destinationPort), 0, 0, 0] + big(sourcePort) + [0, 1]
    case .sctp: big(sourcePort) + big(destinationPort) + [UInt8](repeating: 0, count: 8)
    default: big(sourcePort) + big(destinationPort) + [0, 8, 0, 0]
    }
  }

  private func big(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

  /// The Internet checksum (RFC 1071) of an even number of bytes.
  static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) { sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1]) }
    while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
  }
}
