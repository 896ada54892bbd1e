#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One direction of a connection that is passed on: octets go from the source's socket to the sink's as they come.
/// Nothing more is read while some wait to leave, so that a connection holds no more than one read's worth, and mostly
/// nothing.
struct TLSRelay {
  enum Progress: Equatable {
    /// It goes on when the source is readable.
    case waitsForSource
    /// It goes on when the sink is writable.
    case waitsForSink
    /// The source has ended, and the sink was told.
    case ended
    /// One of the two is broken.
    case broken
  }

  /// Octets that the sink has not taken yet.
  private(set) var held: [UInt8] = []
  private var sent = 0
  private(set) var isEnded = false
  private(set) var octets: UInt64 = 0

  static let scratchSize = 131_072
  /// How often one direction may read before it is another's turn.
  private static let turns = 8

  mutating func hold(_ bytes: UnsafeBufferPointer<UInt8>) { held.append(contentsOf: bytes) }

  /// Moves what there is.
  mutating func pump(from source: Int32, to sink: Int32, scratch: UnsafeMutablePointer<UInt8>) -> Progress {
    if isEnded { return .ended }
    if let progress = flush(to: sink) { return progress }
    for _ in 0..<TLSRelay.turns {
      let count = Socket.receive(source, scratch, TLSRelay.scratchSize)
      if count == 0 {
        isEnded = true
        _ = Socket.endWriting(sink)
        return .ended
      }
      guard count > 0 else { return TLSRelay.isPassing(count) ? .waitsForSource : .broken }
      octets &+= UInt64(count)
      let taken = Socket.send(sink, scratch, count)
      guard taken >= 0 || TLSRelay.isPassing(taken) else { return .broken }
      if taken < count {
        held.append(contentsOf: UnsafeBufferPointer(start: scratch, count: count).dropFirst(max(0, taken)))
        return .waitsForSink
      }
      if count < TLSRelay.scratchSize { return .waitsForSource }
    }
    return .waitsForSource
  }

  /// - Returns: nil when nothing is held any more.
  private mutating func flush(to sink: Int32) -> Progress? {
    while sent < held.count {
      let taken = held.withUnsafeBufferPointer { bytes in
        bytes.baseAddress.map { Socket.send(sink, $0 + sent, bytes.count - sent) } ?? 0
      }
      guard taken >= 0 else { return TLSRelay.isPassing(taken) ? .waitsForSink : .broken }
      sent += taken
    }
    held = []
    sent = 0
    return nil
  }

  private static func isPassing(_ result: Int) -> Bool { result == -Int(EAGAIN) || result == -Int(EINTR) }
}

extension Socket {
  /// Tells the other side that nothing more comes; it may still send.
  static func endWriting(_ fd: Int32) -> Int32 { shutdown(fd, Int32(SHUT_WR)) < 0 ? -errno : 0 }

  /// The outcome of a connection that was under way: 0 or an errno.
  static func pendingError(_ fd: Int32) -> Int32 {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) < 0 ? errno : value
  }
}
