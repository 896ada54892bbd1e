import Routing
import Synchronization

/// How much there is of a cluster's requests of one priority. Any worker enters and leaves, at any time; where there is room,
/// that is one atomic operation each.
final class ClusterGate: Sendable {
  enum Entry: Equatable {
    case entered
    /// It will be told when there is room.
    case waiting
    case full
  }

  /// A request that waits, and who serves it.
  struct Waiter: Sendable {
    let mailbox: WorkerMailbox
    /// Of its `RoutedConnection`.
    let connection: UInt32
    /// Tells this wait from others of the connection's.
    let ticket: UInt64
  }

  private let active = Atomic<UInt32>(0)
  private let waiting = Atomic<UInt32>(0)
  private let retrying = Atomic<UInt32>(0)
  private let waiters = Mutex<[Waiter]>([])

  var activeRequests: UInt32 { active.load(ordering: .relaxed) }
  var waitingRequests: UInt32 { waiting.load(ordering: .relaxed) }

  /// Lets a request in, or has it wait. ``leave()`` follows once for each that has entered.
  ///
  /// - Parameter wasWoken: It has waited, and is before those that came behind it.
  func enter(_ limits: CircuitBreakers.Thresholds, _ waiter: @autoclosure () -> Waiter, wasWoken: Bool) -> Entry {
    let isFirst = wasWoken || waiting.load(ordering: .relaxed) == 0
    if isFirst {
      switch take(limits) {
      case .entered: return .entered
      case .full: return .full
      case .waiting: break
      }
    }
    return waiters.withLock { waiters in
      guard waiters.count < Int(limits.pending) else { return .full }
      // Who leaves looks at this number behind its leaving, so that one of both sees the other.
      waiting.add(1, ordering: .sequentiallyConsistent)
      if isFirst, take(limits) == .entered {
        waiting.subtract(1, ordering: .relaxed)
        return .entered
      }
      waiters.insert(waiter(), at: wasWoken ? 0 : waiters.count)
      return .waiting
    }
  }

  private func take(_ limits: CircuitBreakers.Thresholds) -> Entry {
    var known = active.load(ordering: .sequentiallyConsistent)
    while true {
      if known >= limits.connections { return .waiting }
      if known >= limits.requests { return .full }
      let (exchanged, original) = active.weakCompareExchange(
        expected: known, desired: known + 1, ordering: .sequentiallyConsistent)
      if exchanged { return .entered }
      known = original
    }
  }

  func leave() {
    active.subtract(1, ordering: .sequentiallyConsistent)
    wakeNext()
  }

  /// Tells the first that waits. Who is told and does not want to enter any more calls it too.
  func wakeNext() {
    guard waiting.load(ordering: .sequentiallyConsistent) > 0 else { return }
    let first = waiters.withLock { waiters -> Waiter? in
      guard !waiters.isEmpty else { return nil }
      waiting.subtract(1, ordering: .relaxed)
      return waiters.removeFirst()
    }
    if let first { first.mailbox.wake(first, at: self) }
  }

  /// A request that waits has gone.
  func withdraw(_ ticket: UInt64, of connection: UInt32, at mailbox: WorkerMailbox) {
    waiters.withLock { waiters in
      let place = waiters.firstIndex {
        $0.ticket == ticket && $0.connection == connection && $0.mailbox === mailbox
      }
      guard let place else { return }
      waiters.remove(at: place)
      waiting.subtract(1, ordering: .relaxed)
    }
  }

  /// Whether one more request may be sent again; ``endRetry()`` follows once if so.
  func beginRetry(_ limits: CircuitBreakers.Thresholds) -> Bool {
    var known = retrying.load(ordering: .relaxed)
    while known < limits.retries {
      let (exchanged, original) = retrying.weakCompareExchange(
        expected: known, desired: known + 1, ordering: .relaxed)
      if exchanged { return true }
      known = original
    }
    return false
  }

  func endRetry() { retrying.subtract(1, ordering: .relaxed) }
}

/// The gates of a cluster, one for each priority.
final class ClusterGates: Sendable {
  let normal = ClusterGate()
  let high = ClusterGate()

  func gate(isHighPriority: Bool) -> ClusterGate { isHighPriority ? high : normal }

  var waiting: UInt64 { UInt64(normal.waitingRequests) + UInt64(high.waitingRequests) }
}
