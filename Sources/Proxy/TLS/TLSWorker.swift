import CLinux
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One thread's share of the TLS connections: one loop over every socket, level-triggered.
final class TLSWorker {
  let proxy: TLSProxy
  let mailbox: WorkerMailbox
  let epoll: Int32
  let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: TLSRelay.scratchSize)
  var streams: [UInt64: TLSStream] = [:]
  var log: AccessLog
  var now = Clock.monotonic()
  private var lastStream: UInt64 = 0
  private(set) var table: RuleSetTable
  private(set) var tableVersion: UInt64
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: 128)
  private let granularity: UInt64
  private var nextSweep: UInt64
  private var drainEnd = UInt64.max
  private var mode = WorkerMailbox.Mode.running

  /// epoll data: the stream's number above one bit that tells its sockets apart.
  enum Side: UInt64 {
    case client, server
  }

  init(_ proxy: TLSProxy, mailbox: WorkerMailbox, epoll: Int32) {
    self.proxy = proxy
    self.mailbox = mailbox
    self.epoll = epoll
    granularity = max(1_000_000, proxy.timeouts.granularity.nanoseconds)
    nextSweep = now &+ granularity
    log = AccessLog(proxy.sink, counters: mailbox.counters)
    (tableVersion, table) = proxy.rules.versioned
  }

  deinit {
    for stream in streams.values { stream.close(resets: true) }
    log.deallocate()
    scratch.deallocate()
    events.deallocate()
    close(epoll)
  }

  func run() {
    var event = epoll_event()
    event.events = UInt32(CLINUX_EPOLL_IN)
    event.data.u64 = 0
    epoll_ctl(epoll, EPOLL_CTL_ADD, mailbox.event, &event)
    while true {
      if mailbox.present >= .departing, drained() { break }
      let count = epoll_wait(epoll, events, 128, wait())
      now = Clock.monotonic()
      for index in 0..<max(0, Int(count)) { dispatch(events[index]) }
      if now >= nextSweep { sweep() }
      log.flushIfDue(now: now)
    }
    log.flush(now: now)
  }

  private func wait() -> Int32 {
    var next = streams.isEmpty ? UInt64.max : nextSweep
    if let deadline = log.deadline { next = min(next, deadline) }
    next = min(next, drainEnd)
    if next == .max { return -1 }
    return next <= now ? 0 : Int32(clamping: (next &- now) / 1_000_000 &+ 1)
  }

  /// Whether nothing is left, or its time is over. What has not begun ends at once, unless another proxy has taken over: then
  /// nobody is to notice.
  private func drained() -> Bool {
    if mailbox.present != mode {
      mode = mailbox.present
      drainEnd = min(drainEnd, now.later(by: mailbox.departure.limit.nanoseconds))
      openMail()
      if mode == .stopping {
        for stream in Array(streams.values) where stream.phase == .hello { end(stream, resets: true) }
      }
    }
    return streams.isEmpty || now >= drainEnd
  }

  private func dispatch(_ event: epoll_event) {
    let number = event.data.u64 >> 1
    if number == 0 { return openMail() }
    // The stream may have ended in this very batch.
    guard let stream = streams[number], let side = Side(rawValue: event.data.u64 & 1) else { return }
    serve(stream, side)
  }

  private func openMail() {
    for socket in mailbox.collect() {
      if mailbox.isStopping {
        Socket.resetOnClose(socket.fd)
        close(socket.fd)
        continue
      }
      lastStream += 1
      let stream = TLSStream(number: lastStream, socket: socket, now: now)
      streams[stream.number] = stream
      proxy.counters.open.add(1, ordering: .relaxed)
      watch(stream, .client, UInt32(CLINUX_EPOLL_IN))
    }
  }

  /// Asks for events of one socket; none at all means that its hang-up is not heard of either.
  func watch(_ stream: TLSStream, _ side: Side, _ interest: UInt32) {
    let fd = side == .client ? stream.clientFD : stream.serverFD
    let old = side == .client ? stream.clientInterest : stream.serverInterest
    guard fd >= 0, interest != old else { return }
    if side == .client { stream.clientInterest = interest } else { stream.serverInterest = interest }
    var event = epoll_event()
    event.events = interest
    event.data.u64 = stream.number << 1 | side.rawValue
    let operation = old == 0 ? EPOLL_CTL_ADD : interest == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD
    epoll_ctl(epoll, operation, fd, &event)
  }

  func end(_ stream: TLSStream, resets: Bool) {
    guard streams.removeValue(forKey: stream.number) != nil else { return }
    stream.close(resets: resets)
    proxy.counters.open.subtract(1, ordering: .relaxed)
  }

  /// The rules in force.
  func refreshRules() {
    if proxy.rules.currentVersion != tableVersion { (tableVersion, table) = proxy.rules.versioned }
  }

  /// Ends what waits too long, and judges again what was allowed by rules that are no longer in force.
  private func sweep() {
    nextSweep = now &+ granularity
    refreshRules()
    let limits = proxy.timeouts
    for stream in Array(streams.values) {
      switch stream.phase {
      case .hello:
        if now &- stream.startedAt >= limits.requestHead.nanoseconds { refuse(stream, nil) }
      case .connecting:
        if now &- stream.activeAt >= limits.connect.nanoseconds { failed(stream) }
      case .refused:
        if now &- stream.activeAt >= limits.linger.nanoseconds { end(stream, resets: false) }
      case .relay:
        if now &- min(now, stream.activeAt) >= limits.stall.nanoseconds {
          end(stream, resets: true)
        } else if stream.rulesVersion != tableVersion || stream.policy.revision != proxy.resolver.revision {
          judgeAgain(stream)
        }
      }
    }
  }
}
