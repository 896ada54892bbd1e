import CLinux
public import Files
public import Logging
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Watches whether the endpoints of the routes in force serve: asks them, and takes out those whose requests fail. One for a
/// proxy, with a thread of its own, so that no worker ever waits for it.
public final class HealthWatch: Sendable {
  private let routes: RouteStore
  private let files: ProxyFiles?
  private let duty: ProxyDuty
  private let logger: Logger
  /// Readable when there is something to look at.
  private let event: Int32
  private let stopping = Atomic<Bool>(false)
  private let threads = EngineThreads()
  private let settled = Atomic<Bool>(false)

  /// - Parameters:
  ///   - files: Where it says how endpoints are; nil for nowhere.
  ///   - duty: Whether it says so.
  public init(
    routes: RouteStore, files: ProxyFiles? = nil, duty: ProxyDuty = ProxyDuty(), logger: Logger
  ) throws(SocketError) {
    self.duty = duty
    self.routes = routes
    self.files = files
    self.logger = logger
    event = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    if event < 0 { throw SocketError("eventfd", errno: errno) }
  }

  deinit { close(event) }

  /// Watches until the task is cancelled.
  public func run() async throws {
    let loop = try HealthLoop.Parts(event: event)
    routes.registry.suspects.setWake { [weak self] in self?.wake() }
    routes.setReplaced { [weak self] in self?.wake() }
    wake()
    try threads.start { [self] in
      let reporter = HealthReporter(files: files, duty: duty, logger: logger)
      HealthLoop(loop, routes: routes, reporter).run {
        stopping.load(ordering: .acquiring)
      } _: {
        settled.store($0.isSettled, ordering: .releasing)
      }
    }
    await withTaskCancellationHandler {
      await threads.wait()
    } onCancel: {
      stopping.store(true, ordering: .releasing)
      wake()
    }
    routes.registry.suspects.setWake(nil)
  }

  /// Whether all endpoints that are to be asked have been, so far as is known.
  var isSettled: Bool { settled.load(ordering: .acquiring) }

  private func wake() { eventfd_write(event, 1) }
}
