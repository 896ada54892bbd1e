#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// An IPv4 or IPv6 address in one form: 16 bytes in network byte order, IPv4 as `::ffff:a.b.c.d`
/// (RFC 4291, 2.5.5.2). Maps, compilers and printers share this type, so each has one code path for both families.
public struct IPAddress: Hashable, Sendable, Comparable {
  /// The address as a number: the high and the low 64 bits, in host byte order.
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// An IPv4 address from its 32 bits in host byte order: `0x7F00_0001` is 127.0.0.1.
  public init(v4: UInt32) {
    self.init(high: 0, low: 0x0000_FFFF_0000_0000 | UInt64(v4))
  }

  /// 16 bytes in network byte order, or 4 bytes of IPv4; nil for any other count.
  public init?(bytes: some Collection<UInt8>) {
    switch bytes.count {
    case 4: self.init(v4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
    case 16:
      self.init(
        high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
        low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
    default: return nil
    }
  }

  /// Parses the textual forms of inet_pton(3); nil for anything else, so no zone, prefix or blank is accepted.
  public init?(_ text: some StringProtocol) {
    let text = String(text)
    var v4 = in_addr()
    if inet_pton(AF_INET, text, &v4) == 1 {
      self.init(v4: UInt32(bigEndian: v4.s_addr))
      return
    }
    var v6 = in6_addr()
    guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
    let bytes = withUnsafeBytes(of: v6) { Array($0) }
    self.init(bytes: bytes)
  }

  public var isIPv4: Bool { high == 0 && low >> 32 == 0x0000_FFFF }
  public var isIPv6: Bool { !isIPv4 }

  /// The 32 bits of an IPv4 address in host byte order; nil for IPv6.
  public var v4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

  /// 16 bytes in network byte order.
  public var bytes: [UInt8] {
    (0..<16).map { UInt8(truncatingIfNeeded: ($0 < 8 ? high : low) >> UInt64(56 - ($0 & 7) * 8)) }
  }

  /// 4 bytes for IPv4, 16 for IPv6: the form that netlink and socket addresses want.
  public var familyBytes: [UInt8] { isIPv4 ? Array(bytes.suffix(4)) : bytes }

  /// Link-local: 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291).
  public var isLinkLocal: Bool {
    if let v4 { return v4 >> 16 == 0xA9FE }
    return high >> 54 == 0xFE80 >> 6
  }

  /// 127.0.0.0/8 or ::1.
  public var isLoopback: Bool {
    if let v4 { return v4 >> 24 == 127 }
    return high == 0 && low == 1
  }

  /// The address `offset` further on; wraps at the end of the 128 bits.
  public func advanced(by offset: UInt64) -> IPAddress {
    let (sum, overflow) = low.addingReportingOverflow(offset)
    return IPAddress(high: overflow ? high &+ 1 : high, low: sum)
  }

  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

extension IPAddress: CustomStringConvertible {
  /// As inet_ntop(3) prints it; IPv6 in the form of RFC 5952.
  public var description: String {
    if let v4 {
      return "\(v4 >> 24).\(v4 >> 16 & 255).\(v4 >> 8 & 255).\(v4 & 255)"
    }
    var address = in6_addr()
    withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: bytes) }
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(AF_INET6, &address, &buffer, socklen_t(buffer.count)) != nil else { return "?" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// For a URL or `address:port`: IPv6 in brackets.
  public var bracketed: String { isIPv4 ? description : "[\(description)]" }
}

extension IPAddress: Codable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let address = IPAddress(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is not an IP address"))
    }
    self = address
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
