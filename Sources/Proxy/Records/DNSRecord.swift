public import Addressing

/// One query and what became of it.
///
/// On the wire, little-endian, addresses in network byte order:
///
///     0  u16 length of the record     2  u8 layout (7)       3  u8 flags
///     4  u32 rule                     8  u64 time            16  u64 latency
///    24  u32 rule set                28  u32 source identity 32  u32 destination identity
///    36  u32 time to live            40  u16 type            42  u16 response code, 65535 for none
///    44  u16 client port             46  u16 server port
///    48  16 octets client            64  16 octets server
///    80  u16 name length             82  u16 aliases length  84  u16 count of addresses
///    86  u32 service
///    90  name, aliases with a blank between them, 16 octets for each address
public struct DNSRecord: Hashable, Sendable {
  /// When the query came: nanoseconds since 1970.
  public var time: UInt64
  /// From then to the answer handed to the kernel, in nanoseconds.
  public var latency: UInt64
  public var client: SocketAddress
  public var server: SocketAddress
  public var isTCP: Bool
  public var sourceIdentity: UInt32
  public var destinationIdentity: UInt32
  public var proxyRules: UInt32
  /// The service by which the client reached the server, by the kernel's number; 0: directly.
  public var service: UInt32 = 0
  /// The rule that allowed the query; 0 when it was denied or when no rule was asked for.
  public var rule: UInt32
  public var isDenied: Bool
  /// The rules refuse it, and audit mode let it pass.
  public var isAudited = false
  /// What the client was told; nil when it was told nothing.
  public var responseCode: UInt8?
  public var type: UInt16
  /// In lower case, without a dot at the end.
  public var name: String
  /// At most 64.
  public var addresses: [IPAddress]
  /// At most 16.
  public var aliases: [String]
  /// Seconds; 0 without addresses.
  public var timeToLive: UInt32

  static let headerSize = 90
  static let layout: UInt8 = 7
  private static let deniedFlag: UInt8 = 1
  private static let tcpFlag: UInt8 = 4
  private static let auditedFlag: UInt8 = 8
  private static let maximumAddresses = 64
  private static let maximumAliases = 16

  /// The record as it is sent.
  var encoded: [UInt8] {
    let name = Array(self.name.utf8)
    let aliases = Array(self.aliases.prefix(DNSRecord.maximumAliases).joined(separator: " ").utf8)
    let addresses = self.addresses.prefix(DNSRecord.maximumAddresses)
    var bytes: [UInt8] = []
    func put<Integer: FixedWidthInteger>(_ value: Integer) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    func put(_ address: IPAddress) {
      put(address.high.byteSwapped)
      put(address.low.byteSwapped)
    }
    put(UInt16(DNSRecord.headerSize + name.count + aliases.count + 16 * addresses.count))
    put(DNSRecord.layout)
    put(
      (isDenied ? DNSRecord.deniedFlag : 0) | (isTCP ? DNSRecord.tcpFlag : 0)
        | (isAudited ? DNSRecord.auditedFlag : 0))
    put(rule)
    put(time)
    put(latency)
    put(proxyRules)
    put(sourceIdentity)
    put(destinationIdentity)
    put(timeToLive)
    put(type)
    put(responseCode.map(UInt16.init) ?? UInt16.max)
    put(client.port)
    put(server.port)
    put(client.address)
    put(server.address)
    put(UInt16(name.count))
    put(UInt16(aliases.count))
    put(UInt16(addresses.count))
    put(service)
    bytes += name
    bytes += aliases
    for address in addresses { put(address) }
    return bytes
  }
}

extension DNSRecord {
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.headerSize else { return nil }
    func number<Integer: FixedWidthInteger>(_ offset: Int, _ type: Integer.Type) -> Integer {
      Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
    func address(_ offset: Int) -> IPAddress {
      IPAddress(
        high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
        low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
    let counts = [80, 82, 84].map { Int(number($0, UInt16.self)) }
    let texts = Self.headerSize + counts[0] + counts[1]
    guard bytes[2] == Self.layout, texts + 16 * counts[2] <= bytes.count else { return nil }
    let code = number(42, UInt16.self)
    self.init(
      time: number(8, UInt64.self), latency: number(16, UInt64.self),
      client: SocketAddress(address(48), port: number(44, UInt16.self)),
      server: SocketAddress(address(64), port: number(46, UInt16.self)), isTCP: bytes[3] & Self.tcpFlag != 0,
      sourceIdentity: number(28, UInt32.self), destinationIdentity: number(32, UInt32.self),
      proxyRules: number(24, UInt32.self), service: number(86, UInt32.self), rule: number(4, UInt32.self),
      isDenied: bytes[3] & Self.deniedFlag != 0,
      isAudited: bytes[3] & Self.auditedFlag != 0,
      responseCode: UInt8(exactly: code), type: number(40, UInt16.self),
      name: String(decoding: bytes[Self.headerSize..<Self.headerSize + counts[0]], as: UTF8.self),
      addresses: (0..<counts[2]).map { address(texts + 16 * $0) },
      aliases: String(decoding: bytes[Self.headerSize + counts[0]..<texts], as: UTF8.self)
        .split(separator: " ").map(String.init), timeToLive: number(36, UInt32.self))
  }
}
