import Addressing
import CLinux
import CNI
import Clocks
import Datapath
import Flows
import Identity
import KernelABI
import KubernetesAPI
import Logging
import Netlink
import NodeAPI
import Policy
import Services
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One node's agent: watches the API, compiles, programs the kernel and the proxy, connects pods, serves the node API.
/// It may die at any time: the kernel and the proxy go on with what they have, and the next agent takes over.
public final class Agent: Sendable {
  let configuration: AgentConfiguration
  let logger: Logger
  let client: KubernetesClient
  let datapath: Datapath
  let directory = NodeDirectory()
  let identities: IdentityService
  let policy: PolicyController
  let services: ServiceController
  let routes: RouteController
  let native: NativeRouting
  let devices: NodeDevices
  let accelerator: DeviceAccelerator
  let terminations: ClientTermination
  let endpoints: EndpointManager
  let ring = FlowRing()
  let serviceTraffic = ServiceTraffic()
  let audit = AuditWatch()
  let progress = PolicyProgress()
  /// What policies can refer to now.
  let policyContext = Mutex(PolicyContext())
  let tables = TableWatch()
  let events: EventRecorder
  /// Why the metrics are not served.
  let metricsProblem = Mutex<String?>(nil)
  let startedAt = Timestamp.now()
  let names: NameService
  let network: NodeNetwork
  let repairs: DatapathRepairs
  /// Programs at the socket that were in order once.
  let healthySocketHooks = Mutex<Set<String>>([])
  private let reporter: ObjectStatusReporter

  /// Loads the datapath; throws when this host can not run it, saying what is missing.
  public init(configuration: AgentConfiguration, logger: Logger) throws {
    self.configuration = configuration
    self.logger = logger
    try configuration.directory.create()
    client = try KubernetesClient(configuration: .kubeconfig(path: configuration.directory.kubeconfig))
    datapath = try Datapath(
      pins: DatapathPins(root: configuration.directory.pins), sizes: configuration.mapSizes, logger: logger)
    network = try NodeNetwork(instance: configuration.directory.instance)
    repairs = DatapathRepairs(logger: logger)
    identities = IdentityService(api: client, logger: logger)
    let events = EventRecorder(api: client, nodeName: configuration.nodeName, logger: logger)
    self.events = events
    let reporter = ObjectStatusReporter(api: client, events: events, logger: logger)
    self.reporter = reporter
    policy = PolicyController(
      datapath: datapath, directory: directory, state: configuration.directory, devices: configuration.devices,
      auditedNode: configuration.audit ? configuration.nodeName : nil, audit: audit, logger: logger
    ) { reporter.report($0) }
    var serviceSettings = ServiceSettings()
    serviceSettings.nodePorts = configuration.nodePorts
    serviceSettings.maglevSize = configuration.maglevSize
    native = NativeRouting(
      pods: configuration.podCIDRs, exceptions: configuration.nativeCIDRs, table: datapath.native, logger: logger)
    accelerator = DeviceAccelerator(configuration.acceleration, program: datapath.wire, logger: logger)
    devices = NodeDevices(
      names: configuration.devices, masquerades: configuration.masquerades, table: datapath.devices,
      programs: datapath.host, accelerator: accelerator, logger: logger)
    let terminations = ClientTermination(datapath.socketTermination, logger: logger)
    self.terminations = terminations
    services = ServiceController(
      datapath: datapath, directory: directory, nodeName: configuration.nodeName, settings: serviceSettings,
      proxy: configuration.directory.proxy, logger: logger
    ) { terminations.end($0) }
    routes = RouteController(
      directory: configuration.directory, nodeName: configuration.nodeName, services: services, logger: logger
    ) { reporter.report($0) }
    names = NameService(
      options: configuration.names, policy: policy, connections: datapath.connections,
      path: configuration.directory.nameCache, logger: logger)
    endpoints = try EndpointManager(
      configuration: configuration, kernel: NodeKernel(datapath: datapath), devices: PodInterfaces(), policy: policy,
      reports: EndpointPublisher(api: client, logger: logger), api: client, identities: identities,
      directory: directory, logger: logger)
  }

  /// Runs until the task is cancelled; what the kernel holds stays in force.
  public func run() async throws {
    var settings = DatapathSettings()
    settings.audit = configuration.audit
    settings.nodeNamespaceCookie = try NetworkNamespace.current().cookie()
    settings.nodePorts = configuration.nodePorts
    settings.natPorts = configuration.natPorts
    settings.proxyMark = ProxyMark(instance: configuration.directory.instance)
    settings.loadBalancerMode = configuration.loadBalancerMode
    if let natPortsProblem { logger.warning("\(natPortsProblem): two connections may be taken for one") }
    try datapath.configure(settings)
    let gateways = try configuration.podCIDRs.map { try AddressPool($0).gateway }
    try network.ensure(addresses: gateways, forwarding: configuration.setsForwarding)
    try datapath.proxyLookup.attach()
    let access = try AccessReceiver(path: configuration.directory.proxy.accessSocket)
    defer { access.stop() }
    let pipeline = FlowPipeline(
      ring: ring, directory: directory, traffic: serviceTraffic, audit: audit, nodeName: configuration.nodeName,
      logger: logger)
    DetachedThread.start { access.run { pipeline.append($0) } }

    let pods = Reflector<Pod>(
      client: client, options: ListOptions(fieldSelector: "spec.nodeName=\(configuration.nodeName)"), logger: logger
    ).deltas()
    let namespaces = Reflector<Namespace>(client: client, logger: logger).deltas()
    let known = Reflector<CiliumIdentity>(client: client, logger: logger).deltas()
    let envoyConfigs = Reflector<CiliumEnvoyConfig>(client: client, logger: logger).deltas()
    let clusterwideEnvoyConfigs = Reflector<CiliumClusterwideEnvoyConfig>(client: client, logger: logger).deltas()
    let feed = ClusterFeed(client: client, logger: logger)
    feed.add(.hostAddresses(Set(try network.nodeAddresses())))
    var book = PolicyBook(cluster: configuration.clusterName, node: configuration.nodeName)

    // Nothing is enforced anew before all of it is known: until then the kernel keeps what it has.
    var snapshot = PolicySnapshot()
    await identities.replace(await first(known))
    snapshot.identities = await identities.labels.mapValues { IdentityDetails(labels: $0) }
    let labels = await first(namespaces).reduce(into: [:]) { $0[$1.metadata.name] = $1.metadata.labels }
    let adopted = try await endpoints.adopt(pods: await first(pods), namespaces: labels)
    snapshot.identities.merge(adopted.changedIdentities) { $1 }
    snapshot.subjects = adopted.addedSubjects
    var inputs = await feed.first()
    // A rule whose Secret is not known yet must not deny what it allowed before this agent's start.
    var draft = book
    _ = draft.start(inputs)
    inputs += await feed.first(draft.secretNames)
    (snapshot.policies, snapshot.nodes) = book.start(inputs)
    policyContext.withLock { $0 = book.context }
    for (identity, details) in snapshot.identities { directory.setLabels(identity, details.labels) }
    snapshot.names = await names.restore()
    await routes.start(
      inputs.map(RouteController.Input.cluster) + [
        .configurations(await firstList(envoyConfigs)), .clusterwide(await firstList(clusterwideEnvoyConfigs)),
      ])
    try await services.start(inputs)
    attachSockets()
    await policy.start(snapshot)
    for input in inputs { progress.record(input) }
    await endpoints.attachAdopted()
    await policy.forgetStale()
    native.take(inputs)
    devices.follow()
    await endpoints.replayDeletes()

    let maps = datapath.adopted ? "maps of an earlier agent adopted" : "maps new"
    logger.info("ready: \(snapshot.subjects.count) identities, \(snapshot.policies.count) policies, \(maps)")

    // Much of the code that is resident by now ran once, and what goes on is in the page cache when it is used again. All
    // objects of the cluster were read, in a form that nothing holds any more.
    DetachedThread.start(stackSize: 64 << 10) {
      sleep(1)
      _ = clinux_release_code()
      clinux_release_heap()
    }

    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await pipeline.readKernel(self.datapath) }
      group.addTask { try await self.serveNodeAPI() }
      group.addTask { await self.serveMetrics() }
      group.addTask { await self.collectConnections() }
      group.addTask { await self.collectTranslations() }
      group.addTask { await self.terminations.run { await self.endpoints.all.map(\.attachment.netns) } }
      group.addTask { await self.names.run() }
      group.addTask { try await self.serveNames() }
      group.addTask { await self.watchTables() }
      group.addTask { await self.followNode(feed) }
      group.addTask { await self.follow(pods) }
      group.addTask { await self.follow(namespaces) }
      group.addTask { await self.follow(known) }
      group.addTask { await self.routes.run() }
      group.addTask { for await delta in envoyConfigs { self.routes.add(.configurations(delta)) } }
      group.addTask { for await delta in clusterwideEnvoyConfigs { self.routes.add(.clusterwide(delta)) } }
      group.addTask { [book] in await self.follow(feed, book) }
      try await group.next()
      group.cancelAll()
    }
  }

  /// Without a hook its clients reach no Service, which the status says; everything else goes on.
  private func attachSockets() {
    guard let cgroups = configuration.socketCgroups else { return }
    do { try datapath.sockets.attach(cgroups) } catch {
      logger.error("clients of Services are not balanced at the socket: \(error)")
    }
  }

  private func firstList<Object>(_ stream: AsyncStream<ReflectorDelta<Object>>) async -> ReflectorDelta<Object> {
    for await delta in stream {
      if case .replaced = delta { return delta }
    }
    return .replaced([])
  }

  /// The objects of the first list that can be decoded; the others are logged.
  private func first<Object>(_ stream: AsyncStream<ReflectorDelta<Object>>) async -> [Object] {
    guard case .replaced(let objects, let invalid) = await firstList(stream) else { return [] }
    for object in invalid { logger.error("\(object.key) can not be read: \(object.error)") }
    return objects
  }

  private func follow(_ pods: AsyncStream<ReflectorDelta<Pod>>) async {
    for await delta in pods {
      switch delta {
      case .replaced: break
      case .applied(let pod): await endpoints.podApplied(pod)
      case .deleted(let key): await endpoints.podDeleted(key)
      case .invalid(let key, _, let error): logger.error("\(key) can not be read: \(error)")
      }
    }
  }

  private func follow(_ namespaces: AsyncStream<ReflectorDelta<Namespace>>) async {
    for await delta in namespaces {
      switch delta {
      case .replaced: break
      case .applied(let namespace):
        await endpoints.namespaceApplied(namespace.metadata.name, labels: namespace.metadata.labels)
      case .deleted(let key): await endpoints.namespaceDeleted(key.name)
      case .invalid(let key, _, let error): logger.error("\(key) can not be read: \(error)")
      }
    }
  }

  private func follow(_ known: AsyncStream<ReflectorDelta<CiliumIdentity>>) async {
    let inbox = Inbox<ReflectorDelta<CiliumIdentity>>()
    async let reading: Void = inbox.fill(from: known)
    for await deltas in inbox.batches() {
      await endpoints.identitiesChanged(deltas)
      // A cluster may make hundreds of identities a second: what comes in this while is compiled together.
      try? await Task.sleep(for: .milliseconds(100))
    }
    await reading
  }

  private func follow(_ feed: ClusterFeed, _ book: PolicyBook) async {
    var book = book
    let inbox = Inbox<ClusterInput>()
    // Of its own, so that a backend that goes does not wait until the proxy has a policy.
    let serviceInbox = Inbox<ClusterInput>()
    async let reading: Void = {
      for await input in feed.inputs {
        serviceInbox.add(input)
        inbox.add(input)
      }
      serviceInbox.finish()
      inbox.finish()
    }()
    async let balancing: Void = {
      for await inputs in serviceInbox.batches() {
        native.take(inputs)
        for input in inputs { routes.add(.cluster(input)) }
        await services.apply(inputs)
      }
    }()
    for await inputs in inbox.batches() {
      var change = PolicyDelta()
      for input in inputs { change.merge(book.apply(input) ?? PolicyDelta()) }
      feed.follow(book.secretNames)
      policyContext.withLock { $0 = book.context }
      if !change.isEmpty { await policy.apply(change) }
      for input in inputs { progress.record(input) }
    }
    await reading
    await balancing
  }

  private func followNode(_ feed: ClusterFeed) async {
    if let cgroups = configuration.socketCgroups { noteHealthySockets(cgroups) }
    while !Task.isCancelled {
      try? await Task.sleep(for: .seconds(10))
      devices.follow()
      await repairDatapath()
      native.write()
      do { feed.add(.hostAddresses(Set(try network.nodeAddresses()))) } catch {
        logger.error("the node's addresses can not be read: \(error)")
      }
    }
  }
}
