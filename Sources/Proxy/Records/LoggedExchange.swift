import Routing

/// A request and its response, as far as an access record tells of them.
protocol LoggedExchange {
  var clientAddress: SocketAddress { get }
  var serverAddress: SocketAddress { get }
  var policy: ConnectionPolicy { get }
  var isHTTP2: Bool { get }
  var isDenied: Bool { get }
  var isAudited: Bool { get }
  var isEgress: Bool { get }
  var statusCode: UInt16 { get }
  var failure: StaticString? { get }
  var judgedBy: UInt32 { get }
  var rule: UInt32 { get }
  var mismatches: UInt16 { get }
  /// CLOCK_MONOTONIC.
  var startedAt: UInt64 { get }
  var requestOctets: UInt64 { get }
  var responseOctets: UInt64 { get }
  /// Where method, path and host stand; nil: nowhere.
  var block: UnsafeMutablePointer<UInt8>? { get }
  var method: ByteRange { get }
  var path: ByteRange { get }
  var host: ByteRange { get }
  /// Of the client's `traceparent`; none without a good one.
  var traceID: TraceID { get }
}
