import CLinux
import ProxyRules
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One thread's share of the connections and the loop that serves them.
///
/// Sockets are registered once, edge-triggered, for both directions: a request costs one epoll_wait, one read and one
/// write each way and no epoll_ctl. Bytes are read into scratch memory, examined in place and written to the other side
/// at once; only what can not leave yet is moved to a buffer of the connection's own.
final class Worker {
  let shared: ProxyShared
  let mailbox: WorkerMailbox
  let counters: ProxyCounters
  let limits: HTTPLimits
  let epoll: Int32
  let clientScratch: UnsafeMutablePointer<UInt8>
  let upstreamScratch: UnsafeMutablePointer<UInt8>
  private let events: UnsafeMutablePointer<epoll_event>
  /// Everything about routed connections; nil until there is one.
  var routing: RoutingWork?
  /// Everything about HTTP/2; nil until somebody speaks it.
  var http2: HTTP2Work?

  var fields = FieldSection()
  var head = RequestHead()
  var responseHead = ResponseHead()
  var facts: UnsafeMutablePointer<HTTPHeaderFacts>
  var buffers = BufferPool(size: Endpoint.capacity + Endpoint.slack, reserve: 64)
  var blocks = BufferPool(size: Worker.blockSize, reserve: 256)
  var connections = ConnectionList()
  var parked = ParkedConnections()
  var log: AccessLog
  var table: RuleSetTable
  var tableVersion: UInt64
  /// Of `proxyRules` and of `egressProxyRules`.
  var recent = RecentMatcher()
  var recentOfEgress = RecentMatcher()
  /// CLOCK_MONOTONIC when the present batch of events came.
  var now: UInt64
  /// Steps that a connection may still take before it is another's turn.
  var budget = 0
  var isDraining = false
  var drainEnd: UInt64 = .max
  /// The last thing that the mailbox said.
  var mode = WorkerMailbox.Mode.running
  /// Who takes the connections that come to rest; nil while there is nobody.
  var outbox: HandoverOutbox?
  private var isAccepting = false
  private var resumeAcceptAt: UInt64 = 0
  private var nextSweep: UInt64 = .max
  private var queue = ConnectionQueue()
  /// Connections of HTTP/2, whose turn comes when those that write to them had theirs.
  private var sessionQueue = ConnectionQueue()

  /// Room for the copy of a request's head.
  static let blockSize = 4096
  static let stepsPerTurn = 32
  private static let eventCapacity = 256
  /// epoll data of sockets that belong to no connection; a connection's is its address, with bit 0 for upstream.
  private static let mailboxData: UInt64 = 2
  private static let listenerData: UInt64 = 4
  static let parkedData: UInt64 = 6

  init(shared: ProxyShared, mailbox: WorkerMailbox) throws(SocketError) {
    self.shared = shared
    self.mailbox = mailbox
    counters = mailbox.counters
    limits = shared.limits
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard epoll >= 0 else { throw SocketError("epoll_create", errno: errno) }
    clientScratch = .allocate(capacity: Endpoint.capacity + Endpoint.slack)
    upstreamScratch = .allocate(capacity: Endpoint.capacity + Endpoint.slack)
    events = .allocate(capacity: Self.eventCapacity)
    facts = .allocate(capacity: FieldSection.capacity)
    log = AccessLog(shared.sink, counters: mailbox.counters)
    (tableVersion, table) = shared.rules.versioned
    now = Clock.monotonic()
  }

  deinit {
    parked.endAll()
    connections.deallocate()
    buffers.unmapAll()
    blocks.unmapAll()
    log.deallocate()
    fields.deallocate()
    clientScratch.deallocate()
    upstreamScratch.deallocate()
    events.deallocate()
    facts.deallocate()
    close(epoll)
  }

  /// Serves until the mailbox says stop and no connection is left.
  func run() {
    register(mailbox.event, UInt32(CLINUX_EPOLL_IN), Self.mailboxData)
    startAccepting()
    while true {
      if mailbox.present != mode { follow(mailbox.present) }
      if now >= drainEnd { forEachConnection { self.abort($0, resets: true) } }
      // What another worker has accepted for this one may still be on its way.
      if mode >= .departing && connections.first == nil
        && (mailbox.load.load(ordering: .relaxed) == 0 || now >= drainEnd)
      {
        break
      }
      let count = epoll_wait(epoll, events, Int32(Self.eventCapacity), timeout())
      now = Clock.monotonic()
      for index in 0..<max(0, Int(count)) { dispatch(events[index]) }
      endBatch()
      log.flushIfDue(now: now)
    }
    log.flush(now: now)
    routing?.lines.flush()
  }

  /// Does what is to be done after the events of a batch.
  func endBatch() {
    if routing != nil { fireTimers() }
    if now >= nextSweep { sweepAll() }
    runQueued()
    connections.recycleDead()
    http2?.trim()
  }

  private func timeout() -> Int32 {
    if !queue.isEmpty || !sessionQueue.isEmpty { return 0 }
    let isEmpty = connections.first == nil && parked.isEmpty
    var next = isEmpty ? resumeAcceptAt == 0 ? UInt64.max : nextSweep : nextSweep
    if !isEmpty && nextSweep == .max {
      nextSweep = now.later(by: shared.timeouts.granularity.nanoseconds)
      next = nextSweep
    }
    if let deadline = log.deadline { next = min(next, deadline) }
    if let deadline = routing?.deadline { next = min(next, deadline) }
    next = min(next, drainEnd)
    if next == .max { return -1 }
    return next <= now ? 0 : Int32(clamping: (next &- now) / 1_000_000 &+ 1)
  }

  private func sweepAll() {
    if resumeAcceptAt != 0 && now >= resumeAcceptAt {
      resumeAcceptAt = 0
      startAccepting()
    }
    sweep()
    let isIdle = connections.first == nil && parked.isEmpty && resumeAcceptAt == 0
    nextSweep = isIdle ? .max : now.later(by: shared.timeouts.granularity.nanoseconds)
  }

  private func dispatch(_ event: epoll_event) {
    let data = event.data.u64
    if data == Self.mailboxData { return openMail() }
    if data & 7 == Self.listenerData {
      accept(from: Int32(truncatingIfNeeded: data >> 32))
      return
    }
    if data & 7 == Self.parkedData { return parked.end(Int32(truncatingIfNeeded: data >> 32)) }
    guard let c = ConnectionPointer(bitPattern: UInt(data & ~15)), c.pointee.request != .closed else { return }
    let flags = Int(event.events)
    let isOver = flags & (CLINUX_EPOLL_RDHUP | CLINUX_EPOLL_HUP | CLINUX_EPOLL_ERR) != 0
    let isReadable = isOver || flags & CLINUX_EPOLL_IN != 0
    let isWritable = flags & (CLINUX_EPOLL_OUT | CLINUX_EPOLL_HUP | CLINUX_EPOLL_ERR) != 0
    if data & 1 == 0 {
      if flags & CLINUX_EPOLL_ERR != 0 { return abort(c, resets: false) }
      if isReadable { c.pointee.client.isReadable = true }
      if isWritable { c.pointee.client.isWritable = true }
      if isOver { c.pointee.client.isHangingUp = true }
    } else {
      if isReadable { c.pointee.upstream.isReadable = true }
      if isWritable { c.pointee.upstream.isWritable = true }
      if isOver { c.pointee.upstream.isHangingUp = true }
    }
    drive(c)
  }

  // MARK: New connections

  func startAccepting() {
    guard !isAccepting, mode == .running else { return }
    isAccepting = true
    for listener in shared.listeners {
      register(
        listener, UInt32(CLINUX_EPOLL_IN | CLINUX_EPOLL_EXCLUSIVE),
        UInt64(UInt32(bitPattern: listener)) << 32 | Self.listenerData)
    }
  }

  func stopAccepting() {
    guard isAccepting else { return }
    isAccepting = false
    for listener in shared.listeners { epoll_ctl(epoll, EPOLL_CTL_DEL, listener, nil) }
  }

  /// - Returns: whether more may wait.
  @discardableResult
  func accept(from listener: Int32) -> Bool {
    for _ in 0..<16 {
      guard isAccepting else { return false }
      var peer: SocketAddress?
      let fd = Socket.accept(listener, peer: &peer)
      if fd < 0 {
        if fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS {
          // The connection stays in the listener's queue; trying again at once would only spin.
          parked.endAll()
          stopAccepting()
          resumeAcceptAt = now &+ 100_000_000
          nextSweep = min(nextSweep, resumeAcceptAt)
        }
        return false
      }
      guard let peer, let local = Socket.localAddress(fd) else {
        close(fd)
        continue
      }
      let socket = AcceptedSocket(fd: fd, client: peer, server: local)
      if let other = lessLoaded() {
        other.load.add(1, ordering: .relaxed)
        other.hand(over: socket)
      } else {
        mailbox.load.add(1, ordering: .relaxed)
        open(socket)
      }
    }
    return true
  }

  /// Which thread the kernel wakes for a new connection says nothing about who has time for it.
  private func lessLoaded() -> WorkerMailbox? {
    var least = mailbox.load.load(ordering: .relaxed)
    var choice: WorkerMailbox?
    for other in shared.mailboxes {
      let load = other.load.load(ordering: .relaxed)
      if load < least {
        least = load
        choice = other
      }
    }
    return choice
  }

  func openMail() {
    for socket in mailbox.collect() {
      if outbox != nil || mode == .stopping {
        mailbox.load.subtract(1, ordering: .relaxed)
        _ = outbox?.pass(socket.fd)
        close(socket.fd)
      } else {
        open(socket)
      }
    }
    for wake in mailbox.collectWakes() { admit(wake) }
  }

  private func open(_ socket: AcceptedSocket) {
    let policy = shared.resolver.resolve(client: socket.client, server: socket.server, transport: .tcp)
    if let taker = taker(policy) {
      mailbox.load.subtract(1, ordering: .relaxed)
      return taker.take(socket)
    }
    let c = connections.add(
      Connection(client: socket.fd, clientAddress: socket.client, serverAddress: socket.server, now: now))
    adopt(policy, c)
    counters.accepted.add()
    register(socket.fd, Self.streamEvents, UInt64(UInt(bitPattern: c)))
    // A request often is there already.
    c.pointee.client.isReadable = true
    drive(c)
  }

  static let streamEvents =
    UInt32(CLINUX_EPOLL_IN | CLINUX_EPOLL_OUT | CLINUX_EPOLL_RDHUP) | CLINUX_EPOLL_EDGE

  func register(_ fd: Int32, _ interest: UInt32, _ data: UInt64) {
    var event = epoll_event()
    event.events = interest
    event.data.u64 = data
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)
  }

  // MARK: Turns

  /// Lets a connection that has used up its steps go on after the others.
  func enqueue(_ c: ConnectionPointer) {
    guard !c.pointee.isQueued else { return }
    if c.pointee.request == .http2 { sessionQueue.add(c) } else { queue.add(c) }
  }

  private func runQueued() {
    run(queue.takeAll())
    run(sessionQueue.takeAll())
  }

  private func run(_ waiting: ConnectionQueue) {
    var waiting = waiting
    while let c = waiting.next() {
      if c.pointee.request != .closed { drive(c) }
    }
  }

  /// `body` may close the connection that it is given.
  func forEachConnection(_ body: (ConnectionPointer) -> Void) {
    var next = connections.first
    while let c = next {
      next = c.pointee.next
      body(c)
    }
  }
}
