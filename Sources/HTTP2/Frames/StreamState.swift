/// Where a stream stands (RFC 9113, 5.1), without what only pushes need.
public enum StreamState: UInt8, Sendable {
  case idle, open
  /// We have said all we had to say.
  case halfClosedLocal
  /// The peer has.
  case halfClosedRemote
  case closed

  /// Whether DATA or HEADERS of the peer are still to come.
  @inline(__always)
  public var expects: Bool { self == .open || self == .halfClosedLocal }

  /// Whether we may still send DATA or HEADERS.
  @inline(__always)
  public var maySend: Bool { self == .open || self == .halfClosedRemote }

  /// A frame of the peer has come that belongs to the stream.
  public mutating func receive(_ type: FrameType, endStream: Bool) -> HTTP2Fault? {
    switch type {
    case .headers, .data:
      if self == .idle {
        guard type == .headers else { return .frameOnIdleStream }
        self = .open
      }
      guard expects else { return .frameOnClosedStream }
      if endStream { self = self == .open ? .halfClosedRemote : .closed }
    case .resetStream:
      guard self != .idle else { return .frameOnIdleStream }
      self = .closed
    case .windowUpdate:
      guard self != .idle else { return .frameOnIdleStream }
    default: break
    }
    return nil
  }

  /// HEADERS or DATA were sent.
  public mutating func send(endStream: Bool) {
    if self == .idle { self = .open }
    if endStream { self = self == .open ? .halfClosedLocal : .closed }
  }
}
