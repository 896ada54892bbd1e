import Addressing
public import Routing

/// One request and what became of it.
///
/// On the wire, little-endian, addresses in network byte order:
///
///     0  u16 length of the record     2  u8 layout (10)       3  u8 flags
///     4  u32 rule                     8  u64 time            16  u64 latency
///    24  u64 request octets          32  u64 response octets
///    40  u32 http rules              44  u32 source identity 48  u32 destination identity
///    52  u16 status                  54  u16 client port     56  u16 server port
///    58  u16 method length           60  u16 path length     62  u16 host length
///    64  16 octets client            80  16 octets server
///    96  u16 mismatches              98  u16 failure length 100  u32 service
///   104  u32 listener             108  u16 route length   110  u16 cluster length
///   112  u16 drop reason          114  u16 retries
///   116  u64 trace's high half    124  u64 its low half; both 0 for none
///   132  method, path, host, failure, route, cluster
public struct AccessRecord: Hashable, Sendable {
  /// When the request's head was complete: nanoseconds since 1970.
  public var time: UInt64
  /// From then to the last octet of the response handed to the kernel, in nanoseconds.
  public var latency: UInt64
  public var client: SocketAddress
  /// Of a routed request: the backend that was chosen, or the service's address where none was.
  public var server: SocketAddress
  public var sourceIdentity: UInt32
  public var destinationIdentity: UInt32
  public var proxyRules: UInt32
  /// The service by which the client reached the server, by the kernel's number; 0: directly.
  public var service: UInt32
  /// The rule that allowed the request; 0 when it was denied or when no rule was asked for.
  public var rule: UInt32
  /// Bit i: the request was not as `headerMatches[i]` of the rule says, and what the rule wants done then was done.
  public var mismatches: UInt16
  /// The status that the client was sent; 0 when it was sent none.
  public var status: UInt16
  public var isDenied: Bool
  /// It would have been denied, but for audit mode.
  public var isAudited: Bool
  /// The rules are those of the client's egress, not of the server's ingress.
  public var isEgress: Bool
  public var isHTTP2: Bool
  /// The connection ended before the exchange did.
  public var isAborted: Bool
  public var requestOctets: UInt64
  public var responseOctets: UInt64
  /// At most 255 octets.
  public var method: String
  /// Path and query, at most 2048 octets.
  public var path: String
  /// At most 255 octets.
  public var host: String
  /// Why the proxy itself answered with an error, be it the client's or the server's; empty when it did not.
  public var failure: String
  /// The number of the listener that routed the request; 0 for none.
  public var listener: UInt32
  /// The name of its route, or that of the virtual host with the route's place in it, as `host[2]`; at most 255 octets.
  public var route: String
  /// The cluster that the request was for; empty where the proxy answered itself. At most 255 octets.
  public var cluster: String
  /// Hubble's drop reason when policy denies the client the backend; then `rule` is the one that denied, 0 when none allows.
  /// Else 0.
  public var dropReason: UInt16
  /// Attempts beyond the first.
  public var retries: UInt16
  /// The trace that the request belongs to, by the client's `traceparent` or by the proxy's own span; none without one.
  public var traceID: TraceID

  static let headerSize = 132
  static let layout: UInt8 = 10
  static let deniedFlag: UInt8 = 1
  static let abortedFlag: UInt8 = 2
  static let auditedFlag: UInt8 = 4
  static let egressFlag: UInt8 = 8
  static let http2Flag: UInt8 = 16

  init?(_ bytes: UnsafeRawBufferPointer) {
    func number<Integer: FixedWidthInteger>(_ offset: Int, _ type: Integer.Type) -> Integer {
      Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
    func address(_ offset: Int) -> IPAddress {
      IPAddress(
        high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
        low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
    guard bytes.count >= Self.headerSize else { return nil }
    let counts = [58, 60, 62, 98, 108, 110].map { Int(number($0, UInt16.self)) }
    guard bytes[2] == Self.layout, Self.headerSize + counts.reduce(0, +) <= bytes.count else { return nil }
    var at = Self.headerSize
    func text(_ count: Int) -> String {
      defer { at += count }
      return String(decoding: bytes[at..<at + count], as: UTF8.self)
    }
    isDenied = bytes[3] & Self.deniedFlag != 0
    isAudited = bytes[3] & Self.auditedFlag != 0
    isEgress = bytes[3] & Self.egressFlag != 0
    isHTTP2 = bytes[3] & Self.http2Flag != 0
    isAborted = bytes[3] & Self.abortedFlag != 0
    rule = number(4, UInt32.self)
    mismatches = number(96, UInt16.self)
    time = number(8, UInt64.self)
    latency = number(16, UInt64.self)
    requestOctets = number(24, UInt64.self)
    responseOctets = number(32, UInt64.self)
    proxyRules = number(40, UInt32.self)
    service = number(100, UInt32.self)
    sourceIdentity = number(44, UInt32.self)
    destinationIdentity = number(48, UInt32.self)
    status = number(52, UInt16.self)
    client = SocketAddress(address(64), port: number(54, UInt16.self))
    server = SocketAddress(address(80), port: number(56, UInt16.self))
    method = text(counts[0])
    path = text(counts[1])
    host = text(counts[2])
    failure = text(counts[3])
    route = text(counts[4])
    cluster = text(counts[5])
    listener = number(104, UInt32.self)
    dropReason = number(112, UInt16.self)
    retries = number(114, UInt16.self)
    traceID = TraceID(high: number(116, UInt64.self), low: number(124, UInt64.self))
  }
}
