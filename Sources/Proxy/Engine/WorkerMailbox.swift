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
  private let stopping = Atomic<Bool>(false)
  let counters = ProxyCounters()
  private let sockets = Mutex<[AcceptedSocket]>([])

  private let wakes = Mutex<[Wake]>([])

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

  /// No new connections from here on; those at rest are closed, the others after their exchange.
  func stop() {
    stopping.store(true, ordering: .releasing)
    wake()
  }

  var isStopping: Bool { stopping.load(ordering: .acquiring) }

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
