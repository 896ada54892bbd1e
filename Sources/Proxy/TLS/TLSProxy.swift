import CLinux
public import NodeMetrics
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The TLS engine: reads the name that a client asks for out of its ClientHello, and passes the connection on to the
/// client's server as it is, or refuses it. Nothing is decrypted. The server hears of nobody who is refused.
public final class TLSProxy: Sendable {
  let resolver: any ConnectionResolver
  let dialer: any UpstreamDialer
  let rules: RuleStore
  let timeouts: ProxyTimeouts
  let sink: AccessSink
  let drain: Duration
  let counters = TLSCounters()
  private let mailboxes: [WorkerMailbox]
  private let next = Atomic<Int>(0)
  private let threads = EngineThreads()

  /// - Parameter options: of the proxy as a whole: threads, timeouts, where records go, how long connections may go on
  ///   after `shutDown()`.
  public init(
    resolver: any ConnectionResolver, dialer: any UpstreamDialer, rules: RuleStore,
    options: ProxyOptions = ProxyOptions()
  ) throws(SocketError) {
    self.resolver = resolver
    self.dialer = dialer
    self.rules = rules
    timeouts = options.timeouts
    sink = options.accessSink
    drain = options.drain
    var mailboxes: [WorkerMailbox] = []
    for _ in 0..<max(1, options.workers) { mailboxes.append(try WorkerMailbox()) }
    self.mailboxes = mailboxes
  }

  /// Starts the threads; connections are served when this returns.
  public func start() throws(SocketError) {
    for mailbox in mailboxes {
      let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      guard epoll >= 0 else { throw SocketError("epoll_create", errno: errno) }
      try threads.start { TLSWorker(self, mailbox: mailbox, epoll: epoll).run() }
    }
  }

  /// Serves until `shutDown()` or the cancellation of the task.
  public func run() async throws {
    try start()
    await serve()
  }

  /// As `run()`, of an engine that has been started.
  public func serve() async {
    await withTaskCancellationHandler {
      await threads.wait()
    } onCancel: {
      shutDown()
    }
  }

  public func waitUntilStopped() async { await threads.wait() }

  /// May be called from any thread and more than once.
  public func shutDown() { for mailbox in mailboxes { mailbox.stop(limit: drain) } }

  /// Ends the connections as their ends do; nobody gives this engine further ones.
  func depart(limit: Duration) {
    for mailbox in mailboxes { mailbox.depart(Departure(outbox: nil, limit: limit)) }
  }

  /// What was done since the start, as a monitoring system scrapes it.
  public var metrics: [MetricFamily] {
    [
      MetricFamily(
        "martlet_proxy_tls_connections_total", .counter,
        "TLS connections by what was decided on the name that they ask for.",
        [
          .init(["verdict": "forwarded"], counters.allowed.current),
          .init(["verdict": "denied"], counters.denied.current),
          .init(["verdict": "malformed"], counters.malformed.current),
        ]),
      MetricFamily(
        "martlet_proxy_tls_connections_open", .gauge, "TLS connections of clients that are open.",
        UInt64(max(0, counters.open.load(ordering: .relaxed)))),
      MetricFamily(
        "martlet_proxy_tls_upstream_failures_total", .counter, "Servers of TLS that could not be reached.",
        counters.upstreamFailures.current),
    ]
  }
}

extension TLSProxy: ConnectionTaker {
  func take(_ socket: AcceptedSocket) {
    let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
    mailboxes[(turn & Int.max) % mailboxes.count].hand(over: socket)
  }
}

/// What the engine's threads have done since their start.
final class TLSCounters: Sendable {
  let allowed = SharedCounter()
  let denied = SharedCounter()
  let malformed = SharedCounter()
  let upstreamFailures = SharedCounter()
  let open = Atomic<Int>(0)
}

/// A number that several threads add to.
final class SharedCounter: Sendable {
  private let value = Atomic<UInt64>(0)

  func add() { value.add(1, ordering: .relaxed) }

  var current: UInt64 { value.load(ordering: .relaxed) }
}
