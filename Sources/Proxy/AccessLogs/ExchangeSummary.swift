import Routing

/// A routed exchange that has ended, as its access logs and its span tell of it. A view: valid while the exchange is there.
struct ExchangeSummary {
  /// When the head of the request was there: nanoseconds since 1970.
  var start: UInt64
  /// From then on, in nanoseconds; nil for what has not come about.
  var duration: UInt64
  var requestDuration: UInt64?
  var responseDuration: UInt64?
  var status: UInt16
  var flags: ResponseFlags
  var cause: ResponseCause
  /// Octets of bodies.
  var received: UInt64
  var sent: UInt64
  var connection: ConnectionFacts
  /// The endpoint that was asked last.
  var server: SocketAddress?
  var cluster: String
  var choice: RouteChoice?
  /// The first one included; 0 where none was made.
  var attempts: Int
  var traceID: TraceID
  var trace: ActiveTrace?
  /// As the client sent them.
  var method: UnsafeRawBufferPointer
  var path: UnsafeRawBufferPointer
  var host: UnsafeRawBufferPointer

  var facts: CompiledLog.Facts {
    CompiledLog.Facts(status: status, duration: duration / 1_000_000, flags: flags, isTraced: trace != nil)
  }
}
