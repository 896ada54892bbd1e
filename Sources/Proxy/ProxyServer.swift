import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The engine: listeners, workers and the rules they judge by.
///
///     let server = ProxyServer(listeners: [try Listener(address)], resolver: resolver, dialer: dialer)
///     try await server.run()   // until the task is cancelled or shutDown() is called
public final class ProxyServer: Sendable {
  /// The rules in force; replace them at any time.
  public let rules: RuleStore
  public let listeners: [Listener]
  private let options: ProxyOptions
  private let resolver: any ConnectionResolver
  private let dialer: any UpstreamDialer

  private let mailboxes: Mutex<[WorkerMailbox]> = Mutex([])
  private let stopRequested = Atomic<Bool>(false)

  public init(
    listeners: [Listener], resolver: any ConnectionResolver, dialer: any UpstreamDialer,
    rules: RuleStore = RuleStore(), options: ProxyOptions = ProxyOptions()
  ) {
    self.listeners = listeners
    self.resolver = resolver
    self.dialer = dialer
    self.rules = rules
    self.options = options
  }

  /// Serves until `shutDown()` or the cancellation of the task; then takes no more connections, ends those at rest,
  /// lets the others finish their exchange and ends what is left when `options.drain` has passed.
  public func run() async throws {
    var boxes: [WorkerMailbox] = []
    for _ in 0..<options.workers { boxes.append(try WorkerMailbox()) }
    let shared = ProxyShared(
      resolver: resolver, dialer: dialer, rules: rules, limits: options.limits, timeouts: options.timeouts,
      sink: options.accessSink, listeners: listeners.map(\.fd), mailboxes: boxes)
    mailboxes.withLock { $0 = boxes }
    if stopRequested.load(ordering: .sequentiallyConsistent) { shutDown() }
    defer { for listener in listeners { close(listener.fd) } }
    try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for box in boxes {
          group.addTask { try await WorkerThread.run(shared: shared, mailbox: box) }
        }
        try await group.waitForAll()
      }
    } onCancel: {
      shutDown()
    }
  }

  /// Begins the graceful stop; `run()` returns when it is over. May be called from any thread and more than once.
  public func shutDown() {
    stopRequested.store(true, ordering: .sequentiallyConsistent)
    let boxes = mailboxes.withLock { $0 }
    for box in boxes { box.request(.drain) }
    let limit = options.drain
    Task.detached {
      try? await Task.sleep(for: limit)
      for box in boxes { box.request(.now) }
    }
  }

  /// What was done since the start.
  public var statistics: ProxyStatistics {
    var statistics = ProxyStatistics()
    for box in mailboxes.withLock({ $0 }) { statistics.add(box.counters) }
    return statistics
  }
}

/// How an engine runs.
public struct ProxyOptions: Sendable {
  /// Threads that serve connections; by default one for each core.
  public var workers = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  public var limits = HTTPLimits()
  public var timeouts = ProxyTimeouts()
  public var accessSink = AccessSink.none
  /// How long exchanges may go on after `shutDown()`.
  public var drain = Duration.seconds(10)

  public init() {}
}
