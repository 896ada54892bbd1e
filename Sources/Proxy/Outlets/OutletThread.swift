import CLinux
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where lines go that workers write.
protocol LineOutlet: AnyObject, Sendable {
  var queue: LineQueue { get }
  /// Which does the outlet's work.
  var thread: OutletThread { get }

  /// Does what there is to do, on the outlet's thread; it may block.
  /// - Returns: when it is to be called again without any further line, CLOCK_MONOTONIC; nil for never.
  func work(now: UInt64) -> UInt64?
}

/// A thread for what may block: it sleeps until a worker has lines for one of its outlets, and ends with its owner. It is
/// started by the first line.
final class OutletThread: Sendable {
  private final class Weak: Sendable {
    // Only read; who keeps the outlet is the listener.
    private let box: Mutex<WeakBox>
    init(_ outlet: any LineOutlet) { box = Mutex(WeakBox(outlet)) }
    var outlet: (any LineOutlet)? { box.withLock { $0.outlet } }
  }

  private struct WeakBox {
    weak var outlet: (any LineOutlet)?
    init(_ outlet: any LineOutlet) { self.outlet = outlet }
  }

  /// What the thread has of its owner.
  private final class Shared: Sendable {
    let event: Int32
    let isStopping = Atomic<Bool>(false)
    let outlets = Mutex<[Weak]>([])

    init() { event = eventfd(0, Int32(EFD_CLOEXEC)) }

    deinit { close(event) }

    func run() {
      var next: UInt64?
      while true {
        var descriptor = pollfd(fd: event, events: Int16(POLLIN), revents: 0)
        let now = Clock.monotonic()
        let patience = next.map { $0 <= now ? 0 : Int32(clamping: ($0 &- now) / 1_000_000 &+ 1) } ?? -1
        if poll(&descriptor, 1, patience) > 0 {
          var ignored: eventfd_t = 0
          eventfd_read(event, &ignored)
        }
        if isStopping.load(ordering: .acquiring) { return }
        next = nil
        let known = outlets.withLock { outlets in
          outlets.removeAll { $0.outlet == nil }
          return outlets.compactMap(\.outlet)
        }
        for outlet in known {
          if let wanted = outlet.work(now: Clock.monotonic()) { next = min(next ?? .max, wanted) }
        }
      }
    }
  }

  private let shared = Shared()
  private let isStarted = Atomic<Bool>(false)

  init() {}

  deinit {
    shared.isStopping.store(true, ordering: .releasing)
    eventfd_write(shared.event, 1)
  }

  func add(_ outlet: any LineOutlet) { shared.outlets.withLock { $0.append(Weak(outlet)) } }

  func wake() {
    if !isStarted.exchange(true, ordering: .acquiringAndReleasing) {
      let shared = shared
      // Without a thread lines are lost, and counted.
      if DetachedThread.tryStart(stackSize: 256 << 10, { shared.run() }) != 0 {
        isStarted.store(false, ordering: .releasing)
      }
    }
    eventfd_write(shared.event, 1)
  }
}
