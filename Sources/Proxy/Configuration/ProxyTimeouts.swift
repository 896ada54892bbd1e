/// How long the proxy waits. They are checked once per `granularity`, so each may last that much longer.
public struct ProxyTimeouts: Hashable, Sendable {
  /// From the first octet of a request's head to its last: 408.
  public var requestHead: Duration = .seconds(60)
  /// Between two requests of a connection: it is closed.
  public var idle: Duration = .seconds(3600)
  /// Between two requests of a connection to a server that no client uses: it is closed. Shorter than what servers
  /// usually wait, as they close at their leisure. Zero: it is closed at once.
  public var upstreamIdle: Duration = .seconds(4)
  /// For the server to take a connection: 504.
  public var connect: Duration = .seconds(5)
  /// From the last octet of either side to the next one while a body is sent or a response awaited: 408, 504, or the
  /// connection is closed when the response has begun.
  public var stall: Duration = .seconds(3600)
  /// For a client to close after the last response.
  public var linger: Duration = .seconds(2)
  public var granularity: Duration = .seconds(1)

  public init() {}
}

extension Duration {
  /// 0 for what is negative; the greatest number, which is as good as for ever, for what is beyond it.
  var nanoseconds: UInt64 {
    let parts = components
    let (seconds, isBeyond) = UInt64(max(0, parts.seconds)).multipliedReportingOverflow(by: 1_000_000_000)
    return isBeyond ? .max : seconds.later(by: UInt64(max(0, parts.attoseconds / 1_000_000_000)))
  }
}

extension UInt64 {
  /// The point in time so many nanoseconds after this one; the last that there is for what is beyond it.
  @inline(__always)
  func later(by nanoseconds: UInt64) -> UInt64 {
    let (sum, isBeyond) = addingReportingOverflow(nanoseconds)
    return isBeyond ? .max : sum
  }
}
