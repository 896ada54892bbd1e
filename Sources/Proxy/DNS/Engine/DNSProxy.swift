import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The DNS engine: takes clients' queries by UDP and TCP, judges the names in them, asks the server that the client meant
/// and gives its answers back. One thread serves them all.
public final class DNSProxy: Sendable {
  let resolver: any ConnectionResolver
  let dialer: any UpstreamDialer
  let rules: RuleStore
  let options: DNSOptions
  public let listeners: [DNSListener]
  let counters = DNSCounters()
  let recordCounters = ProxyCounters()
  let mailbox: WorkerMailbox
  /// SO_MARK of what it sends.
  let mark: UInt32
  let tracker: NameTrackerConfiguration?
  private let threads = EngineThreads()

  /// - Parameters:
  ///   - resolver: knows what the datapath decided about a client's traffic.
  ///   - dialer: opens the way to a client's server.
  ///   - tracker: where learned names are told; nil when nobody asks.
  public init(
    listeners: [DNSListener], resolver: any ConnectionResolver, dialer: any UpstreamDialer, rules: RuleStore,
    options: DNSOptions = DNSOptions(), mark: UInt32 = 0, tracker: NameTrackerConfiguration? = nil
  ) throws(SocketError) {
    self.listeners = listeners
    self.resolver = resolver
    self.dialer = dialer
    self.rules = rules
    self.options = options
    self.mark = mark
    self.tracker = tracker
    mailbox = try WorkerMailbox()
  }

  public var statistics: DNSStatistics {
    counters.statistics(lostRecords: recordCounters.lostRecords.current)
  }

  /// Starts the thread; queries are served when this returns.
  public func start() throws(SocketError) {
    let worker = try DNSWorkerStart(self)
    try threads.start {
      worker.run()
      for listener in self.listeners { close(listener.fd) }
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
      await waitUntilStopped()
    } onCancel: {
      shutDown()
    }
  }

  public func waitUntilStopped() async { await threads.wait() }

  /// May be called from any thread and more than once.
  public func shutDown() { mailbox.stop() }

  /// Takes no more datagrams for now. Blocks the thread until that is so; false when it does not come to be.
  func pause() -> Bool {
    mailbox.pause()
    return [mailbox].wait(for: .paused)
  }

  func resume() { mailbox.resume() }

  /// Answers what it has been asked, and gives connections away or ends them as `departure` says.
  func depart(_ departure: Departure) { mailbox.depart(departure) }
}

extension DNSProxy: ConnectionTaker {
  func take(_ socket: AcceptedSocket) { mailbox.hand(over: socket) }
}

/// Carries what the thread needs to it: made where an error can still be told.
private struct DNSWorkerStart: Sendable {
  private let proxy: DNSProxy
  private let epoll: Int32

  init(_ proxy: DNSProxy) throws(SocketError) {
    self.proxy = proxy
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw SocketError("epoll_create", errno: errno) }
  }

  func run() { DNSWorker(proxy, epoll: epoll).run() }
}
