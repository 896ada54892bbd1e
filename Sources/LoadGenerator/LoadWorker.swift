import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// CLOCK_MONOTONIC in nanoseconds.
func monotonicNow() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// One thread's share of a run: its connections, its part of the schedule, one epoll loop.
///
/// A constant rate is kept by one schedule over all connections: a request that is due waits for the next free one, and
/// the wait belongs to its latency.
final class LoadWorker {
  let options: LoadOptions
  var request: [UInt8]
  var connections: [LoadConnection]
  var free: IndexQueue
  var result = LoadResult()
  /// Requests under way, those that end after the last measured moment included.
  var underWay = 0
  var measureFrom: UInt64 = 0
  var measureUntil: UInt64 = 0
  let epoll: Int32
  let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 16)
  private let share: Int
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: LoadWorker.eventCapacity)
  private static let eventCapacity = 256
  /// Nanoseconds between two looks at deadlines.
  private static let housekeeping: UInt64 = 20_000_000
  /// Nanoseconds that requests under way at the end are given to be answered.
  private static let grace: UInt64 = 2_000_000_000

  init(_ options: LoadOptions, share: Int) throws(LoadError) {
    self.options = options
    self.share = share
    request = options.request
    let count = options.connections / options.threads + (share < options.connections % options.threads ? 1 : 0)
    let isHead = if case .http("HEAD", _, _) = options.traffic { true } else { false }
    connections = Array(repeating: LoadConnection(reader: ResponseReader(isHead: isHead)), count: count)
    free = IndexQueue(capacity: count)
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    if epoll < 0 { throw LoadError("epoll_create1: \(String(cString: strerror(errno)))") }
  }

  deinit {
    for connection in connections where connection.descriptor >= 0 { close(connection.descriptor) }
    if epoll >= 0 { close(epoll) }
    scratch.deallocate()
    events.deallocate()
  }

  /// Opens the connections, warms up, measures. Takes `warmUp` and `duration`, and at most `timeout` before and the grace
  /// after them.
  func run() -> LoadResult {
    _ = clinux_set_timer_slack(1)
    openAll()
    let start = monotonicNow()
    measureFrom = start + options.warmUp
    measureUntil = measureFrom + options.duration
    var schedule = options.rate.map {
      ArrivalSchedule(start: start, rate: $0, share: share, of: options.threads)
    }
    var before: ResourceUse?
    var after: ResourceUse?
    var nextLook = start + LoadWorker.housekeeping
    var wasFree = true
    while true {
      var now = monotonicNow()
      if before == nil, now >= measureFrom { before = ResourceUse() }
      if now >= nextLook {
        checkDeadlines(now)
        nextLook = now + LoadWorker.housekeeping
      }
      if now >= measureUntil {
        if after == nil { after = ResourceUse() }
        if underWay == 0 || now >= measureUntil + LoadWorker.grace { break }
      }
      var wait = nextLook - min(now, nextLook)
      if schedule != nil {
        while let due = schedule?.next, due <= now, due < measureUntil, let index = free.popFirst() {
          schedule?.advance()
          if wasFree, isMeasured(due) { result.lateness.record(now - due) }
          begin(index, due)
          now = monotonicNow()
        }
        wasFree = !free.isEmpty
        if wasFree, let due = schedule?.next, due < measureUntil { wait = min(wait, due - min(now, due)) }
      } else {
        // As many as are free now: one that fails at once comes back to rest, not to be tried again here.
        for _ in 0..<free.count where now < measureUntil {
          guard let index = free.popFirst() else { break }
          begin(index, now)
          now = monotonicNow()
        }
      }
      poll(nanoseconds: wait)
    }
    for index in connections.indices where connections[index].began > 0 { fail(index, "no answer by the end") }
    result.unsent = schedule?.remaining(before: measureUntil) ?? 0
    if let before, let after { result.use = after.difference(from: before) }
    return result
  }

  func isMeasured(_ time: UInt64) -> Bool { time >= measureFrom && time < measureUntil }

  /// Waits for events and handles them.
  private func poll(nanoseconds: UInt64) {
    let count = clinux_epoll_wait(epoll, events, Int32(LoadWorker.eventCapacity), Int64(nanoseconds))
    for position in 0..<max(0, Int(count)) {
      let index = Int(events[position].data.u64 & 0xFFFF_FFFF)
      let generation = Int32(truncatingIfNeeded: events[position].data.u64 >> 32)
      // An event of a descriptor that was closed while handling one before it.
      guard connections[index].descriptor == generation else { continue }
      handle(index, events[position].events)
    }
  }

  /// Kept connections are opened before the clock starts, so that no request pays for it.
  private func openAll() {
    guard !options.newConnections else {
      for index in connections.indices { free.append(index) }
      return
    }
    for index in connections.indices { open(index) }
    let limit = monotonicNow() + options.timeout
    while free.count < connections.count, monotonicNow() < limit {
      poll(nanoseconds: LoadWorker.housekeeping)
      checkDeadlines(monotonicNow())
      // A server that refuses is asked again while measuring, where it counts.
      for index in connections.indices {
        if case .resting = connections[index].state { release(index) }
      }
    }
  }

  private func checkDeadlines(_ now: UInt64) {
    for index in connections.indices where connections[index].deadline > 0 && now >= connections[index].deadline {
      switch connections[index].state {
      case .resting: release(index)
      case .draining:
        shut(index)
        release(index)
      default: fail(index, "timeout")
      }
    }
  }
}
