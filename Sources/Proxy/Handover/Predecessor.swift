import Logging

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The proxy whose place this one takes.
struct Predecessor: Sendable {
  let link: HandoverLink
  /// Its listening sockets, in the order of ``HandoverMessage``; nil when it speaks another version: it hands nothing over.
  let sockets: [Int32]?

  static let socketCount = 4
  private static let patience = Duration.seconds(5)
  /// Shorter than the incumbent's patience, so that it never takes its place again beside this proxy.
  private static let longestPause = Duration.seconds(3)

  /// Asks the proxy that waits at `path` for its place; nil when there is none. Blocks the thread for some seconds at most.
  static func find(at path: String, logger: Logger) throws(HandoverError) -> Predecessor? {
    for _ in 0..<3 {
      guard let link = try HandoverLink.connect(to: path) else { return nil }
      do throws(HandoverError) {
        try link.send(.hello(version: HandoverMessage.version))
        let answer = try link.receive("hello", within: patience) { message in
          message == .hello(version: HandoverMessage.version) ? socketCount : 0
        }
        guard case .hello(let version) = answer.message else { throw .unexpected(waitingFor: "hello") }
        guard version == HandoverMessage.version else {
          logger.warning(
            "the proxy before has version \(version) of the handover and this one \(HandoverMessage.version): its connections stay with it"
          )
          return Predecessor(link: link, sockets: nil)
        }
        return Predecessor(link: link, sockets: answer.descriptors)
      } catch {
        // It ended just now, or handed over to somebody else, who is to be asked then.
        if error != .ended { throw error }
      }
    }
    return nil
  }

  /// Waits until the predecessor takes no more connections: this proxy is ready to serve by its sockets.
  /// - Parameter drain: How long it may go on with what does not come to rest.
  func release(drain: Duration) throws(HandoverError) {
    guard sockets != nil else { return }
    try unlessEnded { () throws(HandoverError) in
      try link.send(.ready(drain: drain.wholeSeconds))
      switch try link.receive("released", within: Predecessor.patience).message {
      case .released: return
      case .withdrawn: throw .withdrawn
      default: throw .unexpected(waitingFor: "released")
      }
    }
  }

  /// Tells it that this proxy serves.
  /// - Parameter pause: For how long nobody has. When that is too long, this throws: the predecessor takes its place again.
  func serving(after pause: Duration, drain: Duration) throws(HandoverError) {
    guard sockets != nil else {
      return try unlessEnded { () throws(HandoverError) in try link.send(.ready(drain: drain.wholeSeconds)) }
    }
    guard pause < Predecessor.longestPause else { throw .withdrawn }
    try unlessEnded { () throws(HandoverError) in try link.send(.serving) }
  }

  /// What it listened to is here, so that its end is no harm.
  private func unlessEnded(_ body: () throws(HandoverError) -> Void) throws(HandoverError) {
    do throws(HandoverError) { try body() } catch { if error != .ended { throw error } }
  }
}

extension Duration {
  /// Rounded up.
  fileprivate var wholeSeconds: UInt32 {
    let (seconds, rest) = components
    return UInt32(clamping: rest > 0 ? seconds + 1 : seconds)
  }
}
