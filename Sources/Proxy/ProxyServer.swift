import ProxyRules
import Synchronization
import Threads

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
  /// The routes in force; replace them at any time.
  public let routes: RouteStore
  public let listeners: [Listener]
  private let options: ProxyOptions
  private let resolver: any ConnectionResolver
  private let dialer: any UpstreamDialer
  private let judge: (any BackendJudge)?
  private let takers: [RuleKind: any ConnectionTaker]

  private let state = Mutex(State())

  private struct State {
    var mailboxes: [WorkerMailbox] = []
    var running = 0
    var failure: SocketError?
    var isStopping = false
    var hasClosedListeners = false
    var waiter: CheckedContinuation<Void, any Error>?
  }

  /// - Parameters:
  ///   - judge: says what the datapath thinks of the backends of routed requests; nil denies these.
  ///   - dns: serves the connections whose rule set is one of DNS; nil denies them.
  ///   - tls: as `dns`, for those of TLS.
  public init(
    listeners: [Listener], resolver: any ConnectionResolver, dialer: any UpstreamDialer,
    rules: RuleStore = RuleStore(), routes: RouteStore = RouteStore(), judge: (any BackendJudge)? = nil,
    dns: DNSProxy? = nil, tls: TLSProxy? = nil, options: ProxyOptions = ProxyOptions()
  ) {
    var takers: [RuleKind: any ConnectionTaker] = [:]
    takers[.dns] = dns
    takers[.tls] = tls
    self.takers = takers
    self.listeners = listeners
    self.resolver = resolver
    self.dialer = dialer
    self.rules = rules
    self.routes = routes
    self.judge = judge
    self.options = options
  }

  /// Starts the workers' threads; connections are served when this returns.
  public func start() throws(SocketError) {
    var boxes: [WorkerMailbox] = []
    for _ in 0..<max(1, options.workers) { boxes.append(try WorkerMailbox()) }
    let shared = ProxyShared(
      resolver: resolver, dialer: dialer, rules: rules, routes: routes, judge: judge, options: options,
      listeners: listeners.map(\.fd),
      mailboxes: boxes, takers: takers)
    let isStopping = state.withLock {
      $0.mailboxes = boxes
      $0.running = boxes.count
      return $0.isStopping
    }
    for box in boxes {
      let result = DetachedThread.tryStart {
        SchedulingSlice.shorten()
        do throws(SocketError) {
          try Worker(shared: shared, mailbox: box).run()
          self.workerEnded(nil)
        } catch {
          self.workerEnded(error)
        }
      }
      if result != 0 { workerEnded(SocketError("pthread_create", errno: result)) }
    }
    if isStopping { shutDown() }
  }

  /// Serves until `shutDown()` or the cancellation of the task; then takes no more connections, ends those at rest,
  /// lets the others finish their exchange and ends what is left when `options.drain` has passed.
  public func run() async throws {
    try start()
    try await serve()
  }

  /// As `run()`, of a server that has been started.
  public func serve() async throws {
    try await withTaskCancellationHandler {
      try await waitUntilStopped()
    } onCancel: {
      shutDown()
    }
  }

  /// Returns when all workers have ended; throws when one of them could not start.
  public func waitUntilStopped() async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let isOver = state.withLock {
        if $0.running > 0 { $0.waiter = continuation }
        return $0.running == 0 ? Optional($0.failure) : nil
      }
      if let isOver { Self.resume(continuation, isOver) }
    }
  }

  /// Begins the graceful stop. May be called from any thread and more than once.
  public func shutDown() {
    let boxes = state.withLock {
      $0.isStopping = true
      return $0.mailboxes
    }
    for box in boxes { box.stop(limit: options.drain) }
  }

  private func workerEnded(_ failure: SocketError?) {
    // One worker less would serve, but slower than anybody expects: the supervisor should see it.
    if failure != nil { shutDown() }
    let (isLast, waiter, reason) = state.withLock {
      $0.running -= 1
      $0.failure = $0.failure ?? failure
      let waiter = $0.running == 0 ? $0.waiter : nil
      if $0.running == 0 { $0.waiter = nil }
      return ($0.running == 0, waiter, $0.failure)
    }
    if isLast { closeListeners() }
    if let waiter { Self.resume(waiter, reason) }
  }

  func closeListeners() {
    let isFirst = state.withLock { state in
      defer { state.hasClosedListeners = true }
      return !state.hasClosedListeners
    }
    if isFirst { for listener in listeners { close(listener.fd) } }
  }

  /// The workers' mailboxes, once there are workers.
  var workers: [WorkerMailbox] { state.withLock(\.mailboxes) }

  private static func resume(_ continuation: CheckedContinuation<Void, any Error>, _ failure: SocketError?) {
    if let failure { continuation.resume(throwing: failure) } else { continuation.resume() }
  }

  /// What was done since the start.
  public var statistics: ProxyStatistics {
    var statistics = ProxyStatistics()
    for box in workers { statistics.add(box.counters) }
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
