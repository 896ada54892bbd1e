import CLinux
import Logging
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Takes the connections that earlier proxies hand over, for as long as these live.
final class HandoverIntake: Sendable {
  private struct State {
    /// The streams that are read, and those that nobody reads any more.
    var reading: [ObjectIdentifier: HandoverLink] = [:]
    var isStopping = false
  }

  private let state = Mutex(State())
  private let stopEvent: Int32
  private let logger: Logger
  private let writes: AddressWrites
  private let take: @Sendable (Int32) -> Void
  /// Threads that read.
  private let readers = Atomic<Int>(0)

  /// - Parameters:
  ///   - writes: Hears of the proxies that come and go.
  ///   - take: Is given each client's socket, by any thread.
  init(
    logger: Logger, writes: AddressWrites = AddressWrites(), take: @escaping @Sendable (Int32) -> Void
  ) throws(SocketError) {
    self.writes = writes
    stopEvent = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    guard stopEvent >= 0 else { throw SocketError("eventfd", errno: errno) }
    self.logger = logger
    self.take = take
  }

  deinit { close(stopEvent) }

  /// Reads a stream until its end, on a thread of its own.
  func follow(_ link: HandoverLink) {
    let begins = state.withLock { state in
      guard !state.isStopping else { return false }
      state.reading[ObjectIdentifier(link)] = link
      readers.add(1, ordering: .acquiringAndReleasing)
      return true
    }
    guard begins else { return }
    writes.otherCame()
    DetachedThread.start {
      if self.read(link) {
        self.state.withLock { _ = $0.reading.removeValue(forKey: ObjectIdentifier(link)) }
        self.writes.otherWent()
      }
      self.readers.subtract(1, ordering: .acquiringAndReleasing)
    }
  }

  /// - Returns: whether the stream has ended.
  private func read(_ link: HandoverLink) -> Bool {
    var taken = 0
    defer { if taken > 0 { logger.info("took \(taken) connections over from the proxy before") } }
    while true {
      var polled = [
        pollfd(fd: link.fd, events: Int16(POLLIN), revents: 0),
        pollfd(fd: stopEvent, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&polled, 2, -1) >= 0 else {
        if errno == EINTR { continue }
        return true
      }
      if polled[1].revents != 0 { return false }
      do throws(HandoverError) {
        let received = try link.receive("connection") { $0 == .connection || $0 == .predecessor ? 1 : 0 }
        switch (received.message, received.descriptors.first) {
        case (.connection, let socket?):
          taken += 1
          take(socket)
        case (.predecessor, let stream?): follow(HandoverLink(adopting: stream))
        default: throw .unexpected(waitingFor: "connection")
        }
      } catch {
        if error != .ended { logger.error("\(error)") }
        return true
      }
    }
  }

  /// Reads no more: the streams that have not ended, for the proxy that follows.
  func stop() -> [HandoverLink] {
    state.withLock { $0.isStopping = true }
    eventfd_write(stopEvent, 1)
    while readers.load(ordering: .acquiring) > 0 { usleep(200) }
    return state.withLock { Array($0.reading.values) }
  }
}
