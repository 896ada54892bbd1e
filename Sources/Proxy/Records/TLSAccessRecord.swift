import Addressing

/// One TLS connection, and what was decided on the name that it asks for.
///
/// On the wire, little-endian, addresses in network byte order:
///
///     0  u16 length of the record     2  u8 layout (8)       3  u8 flags
///     4  u32 rule                     8  u64 time            16  u32 rule set
///    20  u32 source identity         24  u32 destination identity
///    28  u16 client port             30  u16 server port
///    32  16 octets client            48  16 octets server
///    64  u32 service                68  name
public struct TLSAccessRecord: Hashable, Sendable {
  /// When it was decided: nanoseconds since 1970.
  public var time: UInt64
  public var client: SocketAddress
  public var server: SocketAddress
  public var sourceIdentity: UInt32
  public var destinationIdentity: UInt32
  public var proxyRules: UInt32
  /// The service by which the client reached the server, by the kernel's number; 0: directly.
  public var service: UInt32
  /// The rule that allowed the connection; 0 when it was denied or when no rule was asked for.
  public var rule: UInt32
  public var isDenied: Bool
  /// It would have been denied, but for audit mode.
  public var isAudited: Bool
  /// The rules are those of the client's egress, not of the server's ingress.
  public var isEgress: Bool
  /// In lower case; empty when the client asked for none that could be read.
  public var name: String

  static let headerSize = 68
  static let layout: UInt8 = 8

  /// The record as it is sent.
  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    func put<Integer: FixedWidthInteger>(_ value: Integer) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    func put(_ address: IPAddress) {
      put(address.high.byteSwapped)
      put(address.low.byteSwapped)
    }
    let name = Array(self.name.utf8.prefix(255))
    put(UInt16(Self.headerSize + name.count))
    put(Self.layout)
    put(
      (isDenied ? AccessRecord.deniedFlag : 0) | (isAudited ? AccessRecord.auditedFlag : 0)
        | (isEgress ? AccessRecord.egressFlag : 0))
    put(rule)
    put(time)
    put(proxyRules)
    put(sourceIdentity)
    put(destinationIdentity)
    put(client.port)
    put(server.port)
    put(client.address)
    put(server.address)
    put(service)
    return bytes + name
  }
}

extension TLSAccessRecord {
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= Self.headerSize, bytes[2] == Self.layout else { return nil }
    func number<Integer: FixedWidthInteger>(_ offset: Int, _ type: Integer.Type) -> Integer {
      Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
    func address(_ offset: Int) -> IPAddress {
      IPAddress(
        high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
        low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
    self.init(
      time: number(8, UInt64.self), client: SocketAddress(address(32), port: number(28, UInt16.self)),
      server: SocketAddress(address(48), port: number(30, UInt16.self)), sourceIdentity: number(20, UInt32.self),
      destinationIdentity: number(24, UInt32.self), proxyRules: number(16, UInt32.self),
      service: number(64, UInt32.self), rule: number(4, UInt32.self),
      isDenied: bytes[3] & AccessRecord.deniedFlag != 0, isAudited: bytes[3] & AccessRecord.auditedFlag != 0,
      isEgress: bytes[3] & AccessRecord.egressFlag != 0,
      name: String(decoding: bytes[Self.headerSize...], as: UTF8.self))
  }
}
