import CLinux
import Glibc
import Synchronization
import Threads

/// Lets tasks wait for descriptors to become readable without holding a thread of the cooperative pool: one thread of its own
/// sleeps in epoll_wait(2) for all of them.
final class Readiness: Sendable {
  static let shared = Readiness()

  private struct Waiting {
    var continuations: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var cancelled: Set<UInt64> = []
    var next: UInt64 = 0
    var isRunning = false
  }

  private let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
  private let waiting = Mutex(Waiting())

  /// Returns when `descriptor` is readable; throws CancellationError when the task is cancelled.
  func wait(forInput descriptor: Int32) async throws {
    let ticket = waiting.withLock { waiting in
      waiting.next += 1
      return waiting.next
    }
    // Each wait watches a descriptor of its own, so that two waits for one ring do not meet in the epoll set.
    let watched = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    if watched < 0 { throw BPFError(call: "fcntl(F_DUPFD_CLOEXEC)", errno: errno) }
    defer {
      // Closing would not take it out of the set: the map's file stays open elsewhere.
      epoll_ctl(epoll, EPOLL_CTL_DEL, watched, nil)
      close(watched)
      // A cancellation that came after the descriptor was ready left its ticket behind.
      _ = waiting.withLock { $0.cancelled.remove(ticket) }
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        register(watched, ticket, continuation)
      }
    } onCancel: {
      finish(ticket, throwing: CancellationError(), isCancellation: true)
    }
  }

  private func register(_ descriptor: Int32, _ ticket: UInt64, _ continuation: CheckedContinuation<Void, any Error>) {
    let isCancelled = waiting.withLock { waiting in
      if waiting.cancelled.remove(ticket) != nil { return true }
      waiting.continuations[ticket] = continuation
      if !waiting.isRunning {
        waiting.isRunning = true
        startThread()
      }
      return false
    }
    if isCancelled { return continuation.resume(throwing: CancellationError()) }
    var event = epoll_event(events: EPOLLIN.rawValue | EPOLLONESHOT.rawValue, data: epoll_data_t(u64: ticket))
    if epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0 {
      finish(ticket, throwing: BPFError(call: "epoll_ctl", errno: errno))
    }
  }

  private func finish(_ ticket: UInt64, throwing error: (any Error)?, isCancellation: Bool = false) {
    let continuation = waiting.withLock { waiting in
      let continuation = waiting.continuations.removeValue(forKey: ticket)
      // The handler may run before the wait is registered.
      if continuation == nil, isCancellation { waiting.cancelled.insert(ticket) }
      return continuation
    }
    if let error { continuation?.resume(throwing: error) } else { continuation?.resume() }
  }

  private func startThread() {
    DetachedThread.tryStart { Readiness.shared.run() }
  }

  private func run() -> Never {
    var events = [epoll_event](repeating: epoll_event(), count: 16)
    while true {
      let count = epoll_wait(epoll, &events, Int32(events.count), -1)
      guard count > 0 else { continue }
      for event in events.prefix(Int(count)) { finish(event.data.u64, throwing: nil) }
    }
  }
}
