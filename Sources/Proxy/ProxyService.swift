import BPF
import Files
public import KernelABI
public import Logging
public import NodeMetrics
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The proxy of a node: the engine between the datapath's maps and the agent's configuration file.
///
/// It needs neither to be there when it starts: it waits for the pins, and denies every request until
/// there is a configuration. Started again after a crash it takes its place in the socket map by itself; started beside a
/// living one it takes over that one's sockets and connections.
public struct ProxyService: Sendable {
  /// How long a proxy goes on, once another one serves, with connections that do not come to rest: tunnels, long answers.
  public static let usualDrain = Duration.seconds(600)

  private let files: ProxyFiles
  private let pins: String
  private let programs: String
  private let mark: ProxyMark
  private let options: ProxyOptions
  private let tracing: NodeTracing?
  private let metricsAddress: MetricsAddress
  private let predecessorDrain: Duration
  private let logger: Logger

  /// - Parameters:
  ///   - files: what it shares with the agent.
  ///   - pins: the folder with the datapath's pinned maps.
  ///   - programs: that with its pinned programs.
  ///   - mark: by which the datapath knows its packets.
  ///   - tracing: where spans go of listeners that do not say it themselves; nil: they have none.
  ///   - metricsAddress: where Prometheus finds it.
  ///   - predecessorDrain: how long a proxy whose place it takes may go on with connections that do not come to rest.
  public init(
    files: ProxyFiles, pins: String, programs: String, mark: ProxyMark, options: ProxyOptions? = nil,
    tracing: NodeTracing? = nil, metricsAddress: MetricsAddress = .proxy,
    predecessorDrain: Duration = ProxyService.usualDrain,
    logger: Logger
  ) {
    self.predecessorDrain = predecessorDrain
    self.files = files
    self.pins = pins
    self.programs = programs
    self.mark = mark
    self.tracing = tracing
    self.metricsAddress = metricsAddress
    self.logger = logger
    if let options {
      self.options = options
    } else {
      var defaults = ProxyOptions()
      defaults.accessSink = .socket(path: files.accessSocket)
      self.options = defaults
    }
  }

  /// How long a proxy waits for the names and the endpoints of its routes before it takes another one's place.
  private static let settling = Duration.seconds(5)

  /// Serves until the task is cancelled, then drains as `ProxyServer.run()` does; or until another proxy has taken its place
  /// and nothing is left here. If there is a proxy already, this one takes its place.
  public func run() async throws {
    Self.raiseDescriptorLimit()
    let resolver = try await waitForDatapath()
    let predecessor = try await DetachedThread.run { [files, logger] in
      Result { () throws(HandoverError) in try Predecessor.find(at: files.handoverSocket, logger: logger) }
    }.get()
    let listeners =
      try predecessor?.sockets.map { (sockets) throws(SocketError) in try TransparentListeners(adopting: sockets) }
      ?? TransparentListeners(mark: mark)
    let duty = ProxyDuty(isOn: false)
    let rules = RuleStore()
    try StateFiles.makeDirectories(files.accessLogs, mode: 0o750)
    let routes = RouteStore(accessLogs: files.accessLogs, tracing: tracing)
    defer { routes.finish() }
    let names = AddressWrites()
    let judge = DatapathJudge(maps: pins, programs: programs, names: names) {
      resolver.revision
    } addresses: {
      resolver.addressRevision
    }
    let dns = try nameProxy(listeners, resolver, rules, names)
    let tls = try TLSProxy(
      resolver: resolver, dialer: TransparentDialer(mark: mark.rawValue), rules: rules, options: options)
    let server = ProxyServer(
      listeners: listeners.all, resolver: resolver, dialer: TransparentDialer(mark: mark.rawValue), rules: rules,
      routes: routes, judge: judge, dns: dns, tls: tls, options: options)
    let memory = MemoryRelease()
    let health = try HealthWatch(routes: routes, files: files, duty: duty, logger: logger)
    let routeWatch = RouteWatch(files: files, routes: routes, logger: logger, duty: duty) { memory.note() }
    let watch = ConfigurationWatch(files: files, rules: server.rules, logger: logger, duty: duty) {
      // The agent may have made the datapath anew.
      reopen(resolver)
      judge.reopen()
      duty.perform { register(listeners) }
      memory.note()
    }
    let load: @Sendable () -> Void = {
      watch.load()
      routeWatch.load()
      duty.perform { register(listeners) }
    }
    let engines = ProxyEngines(server: server, dns: dns, tls: tls)
    let metrics = ProxyMetrics(metricsAddress, logger: logger) {
      server.metrics + routes.metrics + tls.metrics
    }
    let intake = try HandoverIntake(logger: logger, writes: names) { server.adopt($0) }
    let incumbent = ProxyIncumbent(
      sockets: listeners.sockets, files: files, engines: engines, duty: duty, intake: intake, metrics: metrics,
      writes: names, logger: logger, load: load)
    let settle: @Sendable () -> Void = {
      let limit = ContinuousClock.now + ProxyService.settling
      while !(routeWatch.isSettled && health.isSettled), ContinuousClock.now < limit { usleep(10_000) }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await watch.run() }
      group.addTask { try await routeWatch.run() }
      group.addTask { try await health.run() }
      group.addTask { await memory.run() }
      defer { group.cancelAll() }
      let handover = try await DetachedThread.run { [self] in
        Result { () throws in
          // What takes long, before anybody waits for it.
          load()
          if predecessor != nil { settle() }
          try predecessor?.release(drain: predecessorDrain)
          let start = ContinuousClock.now
          duty.begin()
          load()
          try engines.start()
          if let predecessor {
            try predecessor.serving(after: .now - start, drain: predecessorDrain)
            intake.follow(predecessor.link)
          }
          return try HandoverServer(HandoverSocket(path: files.handoverSocket), incumbent: incumbent, logger: logger)
        }
      }.get()
      metrics.begin()
      handover.start()
      defer {
        metrics.end()
        handover.stop()
      }
      incumbent.tellWhoServes(getpid())
      logger.info("serving", metadata: ["ipv4": "\(listeners.ipv4.address)", "ipv6": "\(listeners.ipv6.address)"])
      group.addTask { try await engines.serve() }
      // The engines end only when they are told to, or when they can not go on.
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
    incumbent.reportEnd()
  }

  private func nameProxy(
    _ listeners: TransparentListeners, _ resolver: ConntrackResolver, _ rules: RuleStore, _ names: AddressWrites
  ) throws -> DNSProxy {
    var options = DNSOptions()
    options.accessSink = self.options.accessSink
    var tracker = NameTrackerConfiguration(files: files)
    tracker.addresses = try IPCacheAddressTable(pins: pins, writes: names)
    return try DNSProxy(
      listeners: listeners.datagrams, resolver: resolver, dialer: TransparentDialer(mark: mark.rawValue), rules: rules,
      options: options,
      mark: mark.rawValue, tracker: tracker)
  }

  private func reopen(_ resolver: ConntrackResolver) {
    do throws(BPFError) {
      if try resolver.reopen() { logger.notice("the datapath's maps are new: connections are looked up in them") }
    } catch {
      logger.error("the datapath's maps can not be opened: \(error)")
    }
  }

  private func register(_ listeners: TransparentListeners) {
    do {
      try listeners.register(pins: pins)
    } catch {
      logger.error("the listeners are not in the datapath's socket map: \(error)")
    }
  }

  private func waitForDatapath() async throws -> ConntrackResolver {
    var isReported = false
    while true {
      do throws(BPFError) {
        return try ConntrackResolver(pins: pins)
      } catch {
        guard error.errno == ENOENT else { throw error }
        if !isReported { logger.notice("waiting for the datapath: \(error)") }
        isReported = true
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// Each connection takes two descriptors.
  private static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
