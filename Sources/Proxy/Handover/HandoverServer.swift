import Logging
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What the proxy that serves does for its successor. Called on one thread, which it may block for a moment.
protocol Incumbent: Sendable {
  /// The listening sockets, in the order of ``HandoverMessage``.
  var sockets: [Int32] { get }
  /// Takes no more connections, and lets the successor speak to the agent; false when that can not be done.
  func release() -> Bool
  /// Takes back what it has released.
  func resume()
  /// Gives its connections to `outbox` as they come to rest, or ends them where there is none, and is done after `limit`.
  func depart(_ outbox: HandoverOutbox?, limit: Duration, successor: pid_t)
}

/// Waits for the proxy that is to follow, and steps aside for it once that one serves.
final class HandoverServer: Sendable {
  private let socket: HandoverSocket
  private let incumbent: any Incumbent
  private let logger: Logger
  private let patience: Patience
  private let hasHandedOver = Atomic<Bool>(false)

  /// How long a successor may take.
  struct Patience: Sendable {
    var hello = Duration.seconds(2)
    /// To load rules and routes.
    var loading = Duration.seconds(60)
    /// From `released` to `serving`, while nobody takes connections.
    var gap = Duration.seconds(5)
  }

  init(_ socket: HandoverSocket, incumbent: any Incumbent, logger: Logger, patience: Patience = Patience()) {
    self.socket = socket
    self.incumbent = incumbent
    self.logger = logger
    self.patience = patience
  }

  /// Begins to wait, on a thread of its own.
  func start() {
    DetachedThread.start {
      while let link = self.socket.accept() {
        guard let successor = link.peer else {
          self.logger.warning("another user's process asks for this proxy's place")
          continue
        }
        do throws(HandoverError) {
          guard try self.handOver(link, to: successor) else { continue }
          self.hasHandedOver.store(true, ordering: .releasing)
          return self.socket.stop()
        } catch {
          self.logger.warning("\(error); this proxy goes on")
        }
      }
    }
  }

  /// Waits no more. The path is the successor's, if there is one.
  func stop() { if hasHandedOver.load(ordering: .acquiring) { socket.stop() } else { socket.remove() } }

  /// - Returns: whether the successor serves.
  private func handOver(_ link: HandoverLink, to successor: pid_t) throws(HandoverError) -> Bool {
    guard case .hello(let version) = try link.receive("hello", within: patience.hello).message else {
      throw .unexpected(waitingFor: "hello")
    }
    let isSame = version == HandoverMessage.version
    try link.send(.hello(version: HandoverMessage.version), isSame ? incumbent.sockets : [])
    guard case .ready(let seconds) = try link.receive("ready", within: patience.loading).message else {
      throw .unexpected(waitingFor: "ready")
    }
    let limit = Duration.seconds(Int(seconds))
    guard isSame else {
      logger.notice(
        "a proxy with version \(version) of the handover has taken over; connections end as they come to rest")
      incumbent.depart(nil, limit: limit, successor: successor)
      return true
    }
    guard incumbent.release() else {
      try link.send(.withdrawn)
      return false
    }
    do throws(HandoverError) {
      try link.send(.released)
      guard try link.receive("serving", within: patience.gap).message == .serving else {
        throw .unexpected(waitingFor: "serving")
      }
    } catch {
      try? link.send(.withdrawn)
      incumbent.resume()
      throw error
    }
    logger.notice("another proxy has taken over; it is given the connections as they come to rest")
    incumbent.depart(HandoverOutbox(link), limit: limit, successor: successor)
    return true
  }
}
