import CLinux
import Files
import Logging
import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What the thread of a `HealthWatch` does: sleeps until something is due or has come.
final class HealthLoop {
  /// Its descriptors, made before the thread is.
  struct Parts: Sendable {
    let epoll: Int32
    let event: Int32

    init(event: Int32) throws(SocketError) {
      self.event = event
      epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
      guard epoll >= 0 else { throw SocketError("epoll_create", errno: errno) }
      var interest = epoll_event()
      interest.events = EPOLLIN.rawValue
      interest.data.u32 = 0
      epoll_ctl(epoll, EPOLL_CTL_ADD, event, &interest)
    }
  }

  private enum Job {
    case outliers(OutlierWatch)
    case check(CheckSession)
  }

  private let parts: Parts
  private let routes: RouteStore
  private var reporter: HealthReporter
  private var outliers: [OutlierWatch.Key: OutlierWatch] = [:]
  /// Each endpoint is of one cluster.
  private var watchers: [ObjectIdentifier: OutlierWatch] = [:]
  private var checks: [ObjectIdentifier: CheckSession] = [:]
  /// By the numbers of their timers and sockets, which count from 1.
  private var jobs: [UInt32: Job] = [:]
  private var timers = TimerHeap()
  private var freeNumbers: [UInt32] = []
  private var hasChanged = false
  private var now = Clock.monotonic()

  init(_ parts: Parts, routes: RouteStore, _ reporter: HealthReporter) {
    self.parts = parts
    self.routes = routes
    self.reporter = reporter
  }

  deinit { close(parts.epoll) }

  /// - Parameter looked: Called after each turn.
  func run(until isOver: () -> Bool, _ looked: (HealthLoop) -> Void) {
    while !isOver() {
      wait()
      while let timer = timers.take(until: now) { fire(timer.number) }
      if hasChanged { routes.refresh() }
      reporter.report(hasChanged: hasChanged, now: now, reportable)
      hasChanged = false
      looked(self)
    }
  }

  private func wait() {
    let due = [timers.first, reporter.due].compactMap { $0 }.min()
    let timeout = due.map { $0 > now ? Int64(clamping: $0 - now) : 0 } ?? -1
    let ready = withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 64) { events -> [UInt32] in
      guard let base = events.baseAddress else { return [] }
      let count = clinux_epoll_wait(parts.epoll, base, 64, timeout)
      return (0..<max(0, Int(count))).map { events[$0].data.u32 }
    }
    now = Clock.monotonic()
    for number in ready {
      if number == 0 {
        var ignored: eventfd_t = 0
        eventfd_read(parts.event, &ignored)
        follow(routes.current)
        for suspect in routes.registry.suspects.collect() { look(suspect) }
      } else if case .check(let session)? = jobs[number] {
        conclude(session, session.drive())
      }
    }
  }

  // MARK: What is watched

  /// Begins to watch what is new, and stops with what has gone.
  private func follow(_ snapshot: RouteSnapshot) {
    var watched: [OutlierWatch.Key: [RoutedCluster]] = [:]
    var checked: [ObjectIdentifier: (endpoint: RoutedEndpoint, cluster: RoutedCluster)] = [:]
    for listener in snapshot.listeners.values {
      for cluster in listener.watched {
        if let detection = cluster.specification.settings.outlierDetection {
          watched[.init(cluster: cluster.metrics.key, detection: detection), default: []].append(cluster)
        }
        for endpoint in cluster.endpoints where endpoint.identity.check != nil {
          checked[ObjectIdentifier(endpoint)] = (endpoint, cluster)
        }
      }
    }
    for (key, watch) in outliers where watched[key] == nil {
      outliers[key] = nil
      end(watch.number)
    }
    watchers.removeAll(keepingCapacity: true)
    for (key, clusters) in watched {
      let watch = outliers[key] ?? begin(key, clusters[0].metrics)
      watch.setEndpoints(clusters.flatMap(\.endpoints))
      for endpoint in clusters.lazy.flatMap(\.endpoints) { watchers[ObjectIdentifier(endpoint)] = watch }
    }
    for (key, session) in checks where checked[key] == nil {
      checks[key] = nil
      end(session.number)
    }
    for (key, part) in checked where checks[key] == nil {
      guard let check = part.endpoint.identity.check else { continue }
      checks[key] = begin(part.endpoint, check, part.cluster.metrics)
    }
    hasChanged = true
  }

  private func begin(_ key: OutlierWatch.Key, _ metrics: ClusterMetrics) -> OutlierWatch {
    let watch = OutlierWatch(nextNumber(), key, metrics, now: now)
    outliers[key] = watch
    jobs[watch.number] = .outliers(watch)
    timers.set(watch.number, at: watch.deadline)
    return watch
  }

  private func begin(_ endpoint: RoutedEndpoint, _ check: EndpointCheck, _ metrics: ClusterMetrics) -> CheckSession {
    let session = CheckSession(nextNumber(), endpoint, check, metrics, now: now)
    jobs[session.number] = .check(session)
    timers.set(session.number, at: session.deadline)
    return session
  }

  private func nextNumber() -> UInt32 { freeNumbers.popLast() ?? UInt32(jobs.count + 1) }

  private func end(_ number: UInt32) {
    jobs[number] = nil
    freeNumbers.append(number)
  }

  // MARK: What happens

  private func fire(_ number: UInt32) {
    guard let job = jobs[number] else { return }
    switch job {
    case .outliers(let watch):
      if watch.deadline <= now { apply(watch.endInterval(now), watch) }
      timers.set(number, at: watch.deadline)
    case .check(let session):
      if session.deadline <= now { fire(session) }
      timers.set(number, at: session.deadline)
    }
  }

  private func fire(_ session: CheckSession) {
    let progress = session.expire(now)
    if let fd = session.descriptor {
      var interest = epoll_event()
      interest.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLET.rawValue
      interest.data.u32 = session.number
      epoll_ctl(parts.epoll, EPOLL_CTL_ADD, fd, &interest)
    }
    conclude(session, progress)
  }

  private func look(_ suspect: HealthSuspects.Suspect) {
    // It may have gone meanwhile.
    guard let watch = watchers[ObjectIdentifier(suspect.endpoint)] else { return }
    if let event = watch.suspect(suspect, now: now) { apply([event], watch) }
  }

  private func apply(_ events: [OutlierDetector.Event], _ watch: OutlierWatch) {
    for event in events {
      watch.apply(event)
      switch event.change {
      case .spared: continue
      case .returned: reporter.note(watch.key.cluster, event.address, "takes requests again")
      case .ejected(let reason, let until):
        reporter.warn(
          watch.key.cluster, event.address,
          "is ejected until \(HealthReporter.text(until)): \(watch.detection.words(reason))")
      }
      hasChanged = true
    }
  }

  /// Whether each endpoint that is asked has answered, or failed to.
  var isSettled: Bool { checks.values.allSatisfy(\.hasResult) }

  private func conclude(_ session: CheckSession, _ progress: CheckExchange.Progress) {
    let (result, key, address) = (session.conclude(progress, now), session.metrics.key, session.endpoint.address)
    switch result {
    case nil: return
    case .passed(let isNews):
      if isNews {
        reporter.note(key, address, "passes its health checks")
      } else if session.check.check.logsAllSuccesses {
        reporter.note(key, address, "has passed a health check")
      }
      hasChanged = hasChanged || isNews
      if !session.endpoint.health.flags.contains(.failsChecks),
        let watch = watchers[ObjectIdentifier(session.endpoint)], let event = watch.passedCheck(address, now: now)
      {
        apply([event], watch)
      }
    case .failed(let failure, let isNews):
      if isNews {
        reporter.warn(key, address, "fails its health checks: \(failure)")
      } else if session.check.check.logsAllFailures {
        reporter.warn(key, address, "has failed a health check: \(failure)")
      }
      hasChanged = hasChanged || isNews
    }
    timers.set(session.number, at: session.deadline)
  }

  // MARK: What is told

  /// How the endpoints of all clusters are whose endpoints may be there and not serve.
  private func reportable() -> HealthReport {
    var clusters: [ClusterMetrics.Key: HealthReport.ClusterHealth] = [:]
    for listener in routes.current.listeners.values {
      for cluster in listener.watched where clusters[cluster.metrics.key] == nil {
        clusters[cluster.metrics.key] = HealthReport.ClusterHealth(
          object: listener.object, name: cluster.name, isPanicking: cluster.isPanicking,
          endpoints: cluster.standings(reasons))
      }
    }
    return HealthReport(clusters: clusters.sorted { $0.key < $1.key }.map(\.value))
  }

  private func reasons(_ endpoint: RoutedEndpoint) -> [String] {
    var reasons: [String] = []
    if let session = checks[ObjectIdentifier(endpoint)], let text = session.standing { reasons.append(text) }
    if let text = watchers[ObjectIdentifier(endpoint)]?.standing(endpoint.address) { reasons.append(text) }
    return reasons
  }
}
