import Addressing
import Datapath
import Files
import KubernetesAPI
import Logging
import NodeAPI
import Policy
import Services

/// Keeps the kernel's services as the API has them: compiles what changes and writes the difference.
actor ServiceController {
  private let datapath: Datapath
  private let logger: Logger
  private let settings: ServiceSettings
  /// Told of the backends whose endpoints are gone, by the kernel's numbers; each twice: see `ServiceReconciler`.
  private let backendsGone: @Sendable (Set<UInt32>) -> Void
  private let directory: NodeDirectory
  private var node: NodeFacts
  private var book: ServiceBook
  /// nil until the first whole of the API is known: what an earlier agent left stays in force.
  private var reconciler: ServiceReconciler?
  private var collection: Task<Void, Never>?
  private var reported: Set<ServiceName> = []
  private var traffic: ServiceVolumes
  private var checks: [ServiceName: CompiledService.HealthCheck] = [:]
  private let health = HealthCheckServer()
  /// What the proxy's routes name, and what it was told of that.
  private var clusters: Set<String> = [] { didSet { clusterServices = RoutedClusters.services(clusters) } }
  private var clusterServices: Set<ServiceName> = []
  private var clusterFile: RoutedClustersFile

  init(
    datapath: Datapath, directory: NodeDirectory, nodeName: String, settings: ServiceSettings = ServiceSettings(),
    proxy: ProxyFiles, logger: Logger,
    backendsGone: @escaping @Sendable (Set<UInt32>) -> Void = { _ in }
  ) {
    self.backendsGone = backendsGone
    self.datapath = datapath
    traffic = ServiceVolumes(datapath.serviceTraffic)
    self.directory = directory
    self.settings = settings
    self.logger = logger
    clusterFile = RoutedClustersFile(proxy, logger: logger)
    node = NodeFacts(name: nodeName)
    book = ServiceBook(node: node, settings: settings)
  }

  /// Makes the kernel have the Services of a whole first reading and no others.
  func start(_ inputs: [ClusterInput]) throws {
    let begun = ContinuousClock.now
    for input in inputs { take(input) }
    let all = book.takeChanges().compactMapValues { $0 }
    if !clusters.isEmpty { clusterFile.write(RoutedClusters(clusters, book)) }
    let compiled = ContinuousClock.now - begun
    reconciler = try datapath.startServices(with: all, maglevSize: settings.maglevSize)
    datapath.directReturns.start(with: all)
    let whole = ContinuousClock.now - begun
    logger.info(
      "\(all.count) Services compiled in \(compiled / .seconds(1)) s, in force after \(whole / .seconds(1)) s")
    checks = all.compactMapValues(\.healthCheck)
    finish()
  }

  /// Puts changes in force; inputs that are not about services are passed over.
  func apply(_ inputs: [ClusterInput]) {
    for input in inputs { take(input) }
    guard reconciler != nil, book.hasChanges else { return }
    let changes = book.takeChanges()
    if !clusterServices.isDisjoint(with: changes.keys) {
      clusterFile.write(RoutedClusters(clusters, book))
    }
    reconciler?.apply(changes, now: .now)
    datapath.directReturns.apply(changes)
    for (name, service) in changes { checks[name] = service?.healthCheck }
    finish()
  }

  /// Leads the traffic of Services to the proxy, and that of others no longer.
  func setRedirects(_ redirects: [ServiceName: [ServiceRedirect]]) {
    book.set(redirects)
    apply([])
  }

  /// The clusters whose endpoints the proxy is told from now on.
  func setClusters(_ names: Set<String>) {
    guard names != clusters || clusterProblem != nil else { return }
    clusters = names
    // Before the whole of the API is known, what an earlier agent said is better than nothing.
    if reconciler != nil { clusterFile.write(RoutedClusters(clusters, book)) }
  }

  /// Why the proxy does not know their endpoints. Tried again with each call of `setClusters`.
  var clusterProblem: String? { clusterFile.problem }

  /// The Services that the kernel does not have as it should, and why.
  var refusals: [ServiceName: String] { reconciler?.refusals ?? [:] }

  var count: Int { book.names.count }

  /// The Services that there are.
  var names: Set<ServiceName> { book.names }

  /// How full the kernel's tables of services are.
  var tables: [MapUsage] { reconciler.map { $0.usage + [datapath.directReturns.usage] } ?? [] }

  /// Every Service, by its name.
  var models: [ServiceModel] {
    let volumes = self.volumes
    return book.names.sorted().compactMap { book.compiled($0) }.map { ServiceModel($0, reconciler, volumes) }
  }

  /// How much passed for each port of a Service.
  var volumes: [PortID: ServiceVolume] { traffic.byPort }

  /// What becomes of a connection to a Service's address.
  func translation(of key: FrontendKey, isNode: Bool, for client: ServiceTranslation.Client) -> ServiceTranslation? {
    book.translation(of: key, isNode: isNode, for: client)
  }

  /// The Service's port of this name.
  func port(named name: String, at address: IPAddress, _ transport: TransportProtocol) -> UInt16? {
    book.port(named: name, at: address, transport)
  }

  /// The Services whose health checks are not answered, and why.
  nonisolated var healthCheckProblems: [ServiceName: String] { health.problems }

  private func take(_ input: ClusterInput) {
    switch input {
    case .services(let delta): book.apply(delta)
    case .endpointSlices(let delta): book.apply(delta)
    case .hostAddresses(let addresses): node.addresses = addresses
    case .nodes(.replaced(let nodes, _)): for node in nodes { take(node) }
    case .nodes(.applied(let node)): take(node)
    default: break
    }
    book.set(node)
  }

  private func take(_ object: Node) {
    if object.metadata.name == node.name { node.zone = object.metadata.labels["topology.kubernetes.io/zone"] }
  }

  private func finish() {
    let refusals = self.refusals
    for (name, reason) in refusals where !reported.contains(name) {
      logger.error("Service \(name) is not in force as it should be: \(reason)")
    }
    for name in reported.subtracting(refusals.keys) { logger.info("Service \(name) is in force") }
    reported = Set(refusals.keys)
    if let changes = reconciler?.takeNewMeanings(), !changes.isEmpty {
      directory.setServices(changes)
      traffic.take(changes)
      traffic.keep(only: book.names)
    }
    health.set(
      checks.reduce(into: [:]) { found, check in
        found[check.value.port] = HealthCheckAnswer(
          service: check.key, localEndpoints: check.value.localEndpoints, isInForce: refusals[check.key] == nil)
      })
    if let gone = reconciler?.takeGone(), !gone.isEmpty { backendsGone(gone) }
    guard collection == nil, let due = nextTurn else { return }
    collection = Task { [weak self] in
      try? await Task.sleep(until: due, clock: .continuous)
      await self?.collect()
    }
  }

  /// What is refused is also tried without anything having been removed: the kernel may have been short of memory.
  private var nextTurn: ContinuousClock.Instant? {
    reconciler?.nextDue ?? (refusals.isEmpty && datapath.directReturns.problem == nil ? nil : .now + .seconds(5))
  }

  private func collect() {
    collection = nil
    let hadNothingDue = reconciler?.nextDue == nil
    reconciler?.collect(now: .now)
    if hadNothingDue { reconciler?.retry(now: .now) }
    datapath.directReturns.retry()
    finish()
  }
}

extension ServiceModel {
  init(_ service: CompiledService, _ reconciler: ServiceReconciler?, _ volumes: [PortID: ServiceVolume]) {
    func members(_ id: BalancerID?) -> [String] {
      (id.flatMap { service.balancers[$0]?.members } ?? []).map {
        "\($0.backend.address.bracketed):\($0.backend.port)"
      }
    }
    func number(_ id: BalancerID?) -> UInt32 { id.flatMap { reconciler?.number($0) } ?? 0 }
    let frontends = service.frontends.map { frontend in
      Frontend(
        address: frontend.key.address.description, port: frontend.key.port,
        protocol: frontend.key.protocol.description, kinds: frontend.kinds.names,
        servicePort: frontend.cluster.port.port, number: number(frontend.cluster),
        externalNumber: number(frontend.external), backends: members(frontend.cluster),
        externalBackends: members(frontend.external))
    }
    let backends = service.endpoints.sorted { $0.key < $1.key }.flatMap { port, endpoints in
      endpoints.map { endpoint in
        Backend(
          address: endpoint.backend.address.description, port: endpoint.backend.port, servicePort: port.port,
          protocol: port.protocol.description, state: endpoint.state.rawValue, isLocal: endpoint.isLocal,
          node: endpoint.nodeName, zone: endpoint.zone, weight: endpoint.weight,
          number: reconciler?.number(endpoint.backend, of: port) ?? 0)
      }
    }
    let traffic = Set(service.frontends.map(\.cluster.port)).sorted().map { port in
      let volume = volumes[port] ?? ServiceVolume()
      return Traffic(
        port: port.port, protocol: port.protocol.description, packetsToBackends: volume.toBackends.packets,
        bytesToBackends: volume.toBackends.bytes, packetsToClients: volume.toClients.packets,
        bytesToClients: volume.toClients.bytes)
    }
    let balancer = service.balancers.min { $0.key < $1.key }?.value
    self.init(
      namespace: service.name.namespace, name: service.name.name, type: service.type.rawValue,
      algorithm: balancer?.algorithm.rawValue, affinity: balancer?.affinity ?? 0, frontends: frontends,
      backends: backends, traffic: traffic,
      problems: service.problems.map { PolicyStatus.Problem(path: $0.path, message: $0.message) },
      refusal: reconciler?.refusals[service.name])
  }
}
