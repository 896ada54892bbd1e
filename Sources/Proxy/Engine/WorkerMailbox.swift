import CLinux
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct AcceptedSocket: Sendable {
  var fd: Int32
  var client: SocketAddress
  var server: SocketAddress
}

/// What other threads may tell a worker.
final class WorkerMailbox: Sendable {
  /// Readable when there is something to look at.
  let event: Int32
  /// Connections that the worker has or is about to get.
  let load = Atomic<Int>(0)
  private let mode = Atomic<Mode>(.running)
  /// What the worker has come to.
  private let reached = Atomic<Mode>(.running)
  private let departing = Mutex(Departure(outbox: nil, limit: .zero))
  let counters = ProxyCounters()
  private let sockets = Mutex<[AcceptedSocket]>([])

  private let wakes = Mutex<[Wake]>([])

  /// What the worker is to do.
  enum Mode: UInt8, AtomicRepresentable {
    case running
    /// No new connections, for now.
    case paused
    /// As `departure` says.
    case departing
    /// As `departing`, and soon.
    case stopping
  }

  /// There is room at a gate for a request that waits.
  struct Wake: Sendable {
    let waiter: ClusterGate.Waiter
    let gate: ClusterGate
  }

  init() throws(SocketError) {
    event = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    if event < 0 { throw SocketError("eventfd", errno: errno) }
  }

  deinit { close(event) }

  func hand(over socket: AcceptedSocket) {
    sockets.withLock { $0.append(socket) }
    wake()
  }

  /// No new connections from here on; those at rest are closed, the others after their exchange, or when `limit` has passed.
  func stop(limit: Duration = .zero) { leave(Departure(outbox: nil, limit: limit), .stopping) }

  /// No new connections from here on, and what is there ends as `departure` says. Not after ``stop(limit:)``.
  func depart(_ departure: Departure) {
    if mode.load(ordering: .acquiring) != .stopping { leave(departure, .departing) }
  }

  private func leave(_ departure: Departure, _ mode: Mode) {
    departing.withLock { $0 = departure }
    self.mode.store(mode, ordering: .releasing)
    wake()
  }

  /// No new connections until ``resume()``.
  func pause() { change(from: .running, to: .paused) }

  func resume() { change(from: .paused, to: .running) }

  private func change(from: Mode, to: Mode) {
    _ = mode.compareExchange(expected: from, desired: to, ordering: .acquiringAndReleasing)
    wake()
  }

  var present: Mode { mode.load(ordering: .acquiring) }
  var isStopping: Bool { present == .stopping }
  var departure: Departure { departing.withLock { $0 } }

  /// The worker does what `mode` says.
  func confirm(_ mode: Mode) { reached.store(mode, ordering: .releasing) }

  /// Whether the worker has come as far as that.
  func has(reached mode: Mode) -> Bool { reached.load(ordering: .acquiring).rawValue >= mode.rawValue || isStopping }

  func wake(_ waiter: ClusterGate.Waiter, at gate: ClusterGate) {
    wakes.withLock { $0.append(Wake(waiter: waiter, gate: gate)) }
    wake()
  }

  /// Those that may go on.
  func collectWakes() -> [Wake] {
    wakes.withLock { waiting in
      defer { waiting.removeAll() }
      return waiting
    }
  }

  private func wake() { eventfd_write(event, 1) }

  /// Empties the box.
  func collect() -> [AcceptedSocket] {
    var ignored: eventfd_t = 0
    eventfd_read(event, &ignored)
    return sockets.withLock { waiting in
      defer { waiting.removeAll() }
      return waiting
    }
  }
}
