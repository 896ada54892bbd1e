import Testing

/// Both families, so that each scenario is told once.
enum Family: String, CaseIterable, CustomTestStringConvertible {
  case ipv4, ipv6
  var testDescription: String { rawValue }
  var etherType: UInt16 { self == .ipv4 ? 0x0800 : 0x86dd }
  var icmp: UInt8 { self == .ipv4 ? 1 : 58 }
  var echoRequest: UInt8 { self == .ipv4 ? 8 : 128 }
  var echoReply: UInt8 { self == .ipv4 ? 0 : 129 }
  var unreachable: UInt8 { self == .ipv4 ? 3 : 1 }
}

enum Proto {
  static let tcp: UInt8 = 6
  static let udp: UInt8 = 17
  static let sctp: UInt8 = 132
}

enum TCPFlag {
  static let fin: UInt8 = 1
  static let syn: UInt8 = 2
  static let rst: UInt8 = 4
  static let ack: UInt8 = 16
}

/// 16 octets; IPv4 in its mapped form.
typealias Address = [UInt8]

func v4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> Address {
  [UInt8](repeating: 0, count: 10) + [0xff, 0xff, a, b, c, d]
}

func v6(_ head: [UInt8], _ last: UInt8) -> Address {
  head + [UInt8](repeating: 0, count: 15 - head.count) + [last]
}

func be16(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xff)] }
func be32(_ value: UInt32) -> [UInt8] { be16(UInt16(value >> 16)) + be16(UInt16(value & 0xffff)) }

/// RFC 1071.
func checksum(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt32 = 0
  for index in stride(from: 0, to: bytes.count, by: 2) {
    sum += UInt32(bytes[index]) << 8 + UInt32(index + 1 < bytes.count ? bytes[index + 1] : 0)
  }
  while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
  return ~UInt16(sum)
}

/// An Ethernet frame in the making; `bytes` is what goes on the wire.
struct Frame {
  var family: Family
  var sourceMAC: [UInt8]
  var destinationMAC: [UInt8]
  var source: Address
  var destination: Address
  var hopLimit: UInt8 = 64
  var proto: UInt8
  var payload: [UInt8]
  /// Octets; must be a multiple of 8.
  var fragmentOffset = 0
  var moreFragments = false
  /// IPv4.
  var dontFragment = false
  var fragmentID: UInt32 = 77
  /// IPv4 options, or IPv6 extension headers without their last next-header; see ``extension(_:_:)``.
  var options: [UInt8] = []
  /// IPv6: the type of the first extension header in `options`.
  var firstExtension: UInt8 = 0

  var bytes: [UInt8] { destinationMAC + sourceMAC + be16(family.etherType) + packet }

  /// From the IP header on.
  var packet: [UInt8] {
    switch family {
    case .ipv4:
      var header: [UInt8] = [0x40 | UInt8(5 + options.count / 4), 0]
      header += be16(UInt16(20 + options.count + payload.count)) + be16(UInt16(fragmentID & 0xffff))
      header += be16(UInt16(fragmentOffset / 8) | (moreFragments ? 0x2000 : 0) | (dontFragment ? 0x4000 : 0))
      header += [hopLimit, proto, 0, 0] + source.suffix(4) + destination.suffix(4) + options
      header.replaceSubrange(10..<12, with: be16(checksum(header)))
      return header + payload
    case .ipv6:
      var extensions = options
      let isFragment = fragmentOffset > 0 || moreFragments
      if isFragment {
        extensions += [proto, 0] + be16(UInt16(fragmentOffset) | (moreFragments ? 1 : 0)) + be32(fragmentID)
      }
      var next = isFragment ? 44 : proto
      if !options.isEmpty { next = firstExtension }
      return [0x60, 0, 0, 0] + be16(UInt16(extensions.count + payload.count)) + [next, hopLimit] + source + destination
        + extensions + payload
    }
  }
}

func tcp(_ source: UInt16, _ destination: UInt16, _ flags: UInt8, data: [UInt8] = []) -> [UInt8] {
  be16(source) + be16(destination) + be32(1) + be32(1) + [0x50, flags] + be16(1000) + be16(0) + be16(0) + data
}

func udp(_ source: UInt16, _ destination: UInt16, data: [UInt8] = [1, 2, 3, 4]) -> [UInt8] {
  be16(source) + be16(destination) + be16(UInt16(8 + data.count)) + be16(0) + data
}

/// SCTP's common header and the start of an INIT chunk.
func sctp(_ source: UInt16, _ destination: UInt16) -> [UInt8] {
  be16(source) + be16(destination) + be32(0) + be32(0) + [1, 0, 0, 20]
}

func icmp(_ type: UInt8, code: UInt8 = 0, id: UInt16 = 0, data: [UInt8] = [1, 2, 3, 4]) -> [UInt8] {
  [type, code, 0, 0] + be16(id) + be16(1) + data
}
