import BPF
import Files
public import KernelABI
public import Logging
public import NodeMetrics

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The proxy of a node: the engine between the datapath's maps and the agent's configuration file.
///
/// It needs neither to be there when it starts: it waits for the pins, and denies every request until
/// there is a configuration. Started again after a crash it takes its place in the socket map by itself.
public struct ProxyService: Sendable {
  private let files: ProxyFiles
  private let pins: String
  private let programs: String
  private let mark: ProxyMark
  private let options: ProxyOptions
  private let metricsAddress: MetricsAddress
  private let logger: Logger

  /// - Parameters:
  ///   - files: what it shares with the agent.
  ///   - pins: the folder with the datapath's pinned maps.
  ///   - programs: that with its pinned programs.
  ///   - mark: by which the datapath knows its packets.
  ///   - metricsAddress: where Prometheus finds it.
  public init(
    files: ProxyFiles, pins: String, programs: String, mark: ProxyMark, options: ProxyOptions? = nil,
    metricsAddress: MetricsAddress = .proxy,
    logger: Logger
  ) {
    self.files = files
    self.pins = pins
    self.programs = programs
    self.mark = mark
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

  /// Serves until the task is cancelled, then drains as `ProxyServer.run()` does.
  public func run() async throws {
    Self.raiseDescriptorLimit()
    let resolver = try await waitForDatapath()
    let listeners = try TransparentListeners(mark: mark)
    let rules = RuleStore()
    let routes = RouteStore()
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
    let health = try HealthWatch(routes: routes, files: files, logger: logger)
    let routeWatch = RouteWatch(files: files, routes: routes, logger: logger) { memory.note() }
    let watch = ConfigurationWatch(files: files, rules: server.rules, logger: logger) {
      // The agent may have made the datapath anew.
      reopen(resolver)
      judge.reopen()
      register(listeners)
      memory.note()
    }
    watch.load()
    routeWatch.load()
    register(listeners)
    logger.info("serving", metadata: ["ipv4": "\(listeners.ipv4.address)", "ipv6": "\(listeners.ipv6.address)"])
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await watch.run() }
      group.addTask { try await routeWatch.run() }
      group.addTask { try await health.run() }
      group.addTask { await memory.run() }
      group.addTask { try await server.run() }
      group.addTask { try await dns.run() }
      group.addTask { try await tls.run() }
      group.addTask {
        await MetricsListener.serve(metricsAddress) { problem in
          if let problem { logger.error("\(problem); trying again every ten seconds") }
        } _: {
          server.metrics + routes.metrics + tls.metrics
        }
      }
      // The server ends only when it is told to, or when it can not go on.
      defer { group.cancelAll() }
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
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
