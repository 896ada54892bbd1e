import CLinux
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The engine's thread: one loop over every socket, level-triggered.
final class DNSWorker {
  let proxy: DNSProxy
  let epoll: Int32
  let timeout: UInt64
  var upstreams = DNSUpstreams()
  var replies: DNSReplySockets
  var streams: [UInt64: DNSStream] = [:]
  var lastStream: UInt64 = 0
  /// Queries on their way, by the client's address.
  var load: [SocketAddress: Int] = [:]
  var queryCount = 0
  var log: AccessLog
  var tracker: NameTracker?
  var now = Clock.monotonic()
  private var table: RuleSetTable
  private var tableVersion: UInt64
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 128)
  private var nextSweep: UInt64
  /// The last thing that the mailbox said.
  var mode = WorkerMailbox.Mode.running
  var departure = Departure(outbox: nil, limit: .zero)
  var departsUntil = UInt64.max

  /// What an event is about stands in the high bits of its data, which one in the others.
  enum Source: UInt64 {
    case mailbox, listener, upstream, client, server, tracker
  }

  private static let sweepInterval: UInt64 = 250_000_000

  init(_ proxy: DNSProxy, epoll: Int32) {
    self.proxy = proxy
    self.epoll = epoll
    timeout = proxy.options.timeout.nanoseconds
    replies = DNSReplySockets(mark: proxy.mark)
    log = AccessLog(proxy.options.accessSink, counters: proxy.recordCounters)
    (tableVersion, table) = proxy.rules.versioned
    nextSweep = now &+ DNSWorker.sweepInterval
    tracker = proxy.tracker.map { NameTracker($0, epoll: epoll) }
  }

  deinit {
    upstreams.closeAll()
    replies.closeAll()
    for stream in streams.values { stream.close() }
    log.deallocate()
    buffer.deallocate()
    events.deallocate()
    close(epoll)
  }

  func run() {
    watch(proxy.mailbox.event, .mailbox, 0)
    listen()
    tracker?.start(now: now)
    while !proxy.mailbox.isStopping {
      if proxy.mailbox.present != mode { follow(proxy.mailbox.present) }
      if mode == .departing, hasDeparted() { break }
      let count = epoll_wait(epoll, events, 128, wait())
      now = Clock.monotonic()
      for index in 0..<max(0, Int(count)) { dispatch(events[index]) }
      if now >= nextSweep { sweep() }
      releaseHeld()
      log.flushIfDue(now: now)
    }
    log.flush(now: now)
    tracker?.stop()
  }

  func watch(_ fd: Int32, _ source: Source, _ number: UInt64, events: Int = CLINUX_EPOLL_IN) {
    control(EPOLL_CTL_ADD, fd, source, number, events)
  }

  func rewatch(_ fd: Int32, _ source: Source, _ number: UInt64, events: Int) {
    control(EPOLL_CTL_MOD, fd, source, number, events)
  }

  private func control(_ operation: Int32, _ fd: Int32, _ source: Source, _ number: UInt64, _ events: Int) {
    var event = epoll_event()
    event.events = UInt32(events)
    event.data.u64 = source.rawValue << 56 | number
    epoll_ctl(epoll, operation, fd, &event)
  }

  private func wait() -> Int32 {
    var next = nextSweep
    if let deadline = log.deadline { next = min(next, deadline) }
    if let deadline = tracker?.deadline { next = min(next, deadline) }
    return next <= now ? 0 : Int32(clamping: (next &- now) / 1_000_000 &+ 1)
  }

  private func dispatch(_ event: epoll_event) {
    let number = event.data.u64 & 0xFF_FFFF_FFFF_FFFF
    switch Source(rawValue: event.data.u64 >> 56) {
    case .mailbox: openMail()
    case .listener: receiveQueries(proxy.listeners[Int(number)])
    case .upstream: if let upstream = upstreams[Int(number)] { receiveAnswers(upstream) }
    case .client: if let stream = streams[number] { serveClient(stream, UInt32(event.events)) }
    case .server: if let stream = streams[number] { serveServer(stream, UInt32(event.events)) }
    case .tracker: tracker?.receive(number: number, now: now)
    case nil: break
    }
  }

  private func receiveQueries(_ listener: DNSListener) {
    // Others must have their turn too: what is left is there at the next round.
    for _ in 0..<64 {
      var client: SocketAddress?
      var server: SocketAddress?
      let count = Socket.receive(listener.fd, buffer, from: &client, to: &server)
      if count < 0 { return }
      guard let client, let server, count <= buffer.count else { continue }
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      take(bytes, client: client, server: server, transport: .datagram, listener: listener.fd)
    }
  }

  private func receiveAnswers(_ upstream: DNSUpstreams.Upstream) {
    for _ in 0..<64 {
      let count = recv(upstream.fd, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
      if count < 0 {
        // A port that is closed is reported here: the server will not answer what it was asked.
        if errno == ECONNREFUSED { failAll(upstream) }
        return
      }
      answer(upstream, UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
    }
    if upstream.isRetired && upstream.exchanges.isEmpty { upstreams.close(upstream) }
  }

  /// The rules in force.
  func rules() -> RuleSetTable {
    if proxy.rules.currentVersion != tableVersion { (tableVersion, table) = proxy.rules.versioned }
    return table
  }

  private func sweep() {
    nextSweep = now &+ DNSWorker.sweepInterval
    upstreams.sweep(now: now, since: now &- min(now, timeout)) { expired($0) }
    sweepStreams()
    tracker?.sweep(now: now)
  }
}
