import JSON
import Routing

/// One listener of an object, ready to route what is led to it. Immutable: a change makes another one, which takes over what
/// has not changed.
public final class RoutedListener: Sendable {
  /// The agent's number for it.
  public let number: UInt32
  /// `CiliumEnvoyConfig default/reviews`
  public let object: String
  public let name: String
  /// The services that are led to it or that its routes may name: `namespace/name`.
  public let services: [String]
  /// As in ``ListenerFile``.
  let claims: [String: Set<UInt16>]?
  public let manager: HTTPConnectionManager
  public let table: RouteTable
  /// nil where nothing is between the listener and the routes.
  public let filters: FilterChain?
  /// nil where nobody is told of its requests.
  let observer: ExchangeObserver?
  /// By the names that routes use.
  let clusters: [String: RoutedCluster]
  /// Of those, the ones of whose endpoints there is more to say than the files do.
  let watched: [RoutedCluster]
  /// The names that are to be resolved for them.
  let queries: Set<NameQuery>
  /// Requests that no route is for.
  let unrouted: RouteMetrics
  private let targets: [String: ClusterTarget]
  private let loadAssignments: [String: LoadAssignment]
  private let takesNamesFromRequests: Bool
  private let slots: RouteSlots
  private let registry: RouteRegistry

  /// Throws, with the path in `file`, for a listener that is not there, a table that can not be compiled, and for a cluster
  /// that nothing declares.
  ///
  /// - Parameter previous: Of the same number, until now.
  init(
    _ file: ListenerFile, endpoints: EndpointTable, names: ResolvedNames = [:], registry: RouteRegistry,
    reusing previous: RoutedListener? = nil
  ) throws(FieldError) {
    number = file.number
    object = file.object
    name = file.listener
    services = file.services
    claims = file.claims
    let resources = file.resources
    guard let listener = resources.listeners.first(where: { $0.name == file.listener }), let manager = listener.http,
      let configuration = resources.routes(of: listener)
    else { throw FieldError(path: "listener", message: "no Listener \"\(file.listener)\" among the resources") }
    self.manager = manager
    targets = try ClusterNames(resources, services: file.services.compactMap { ServiceClusterName($0) })
      .targets(of: configuration, collector: manager.tracing?.collector.cluster).merging(
        resources.clusters.mapValues { .cluster($0) }
      ) { named, _ in named }
    loadAssignments = resources.loadAssignments
    takesNamesFromRequests = configuration.virtualHosts.contains { $0.routes.contains(where: \.takesNameFromRequest) }
    table = try RouteTable(configuration, reusing: previous?.table)
    filters = try FilterChain.make(manager, configuration, reusing: previous?.filters)
    observer = try ExchangeObserver.make(file, manager, registry.outlets)
    self.registry = registry
    unrouted = registry.route(RouteMetrics.Key(object: file.object, virtualHost: "", route: "", cluster: ""))
    slots = RouteSlots(configuration)
    clusters = RoutedListener.clusters(
      targets, loadAssignments, takesNamesFromRequests ? file.services : [], endpoints, names, object: file.object,
      registry, reusing: previous?.clusters ?? [:])
    queries = Set(targets.values.flatMap(\.queries))
    watched = clusters.values.filter { $0.hasHealth || $0.specification.settings.isResolved }
    observer?.follow(manager.tracing, clusters, registry.outlets)
  }

  /// The same with other endpoints of some service clusters; itself where none of them is one of its own.
  func with(_ endpoints: EndpointTable, _ names: ResolvedNames, changes: Set<String>) -> RoutedListener {
    let isConcerned =
      targets.contains { name, target in
        target.endpointsName(name).map(changes.contains) ?? false
      } || takesNamesFromRequests && services.contains { service in changes.contains { $0.isCluster(of: service) } }
    return isConcerned ? RoutedListener(self, endpoints, names) : self
  }

  /// The same with other addresses of a name; itself where it is none of its own.
  func with(_ endpoints: EndpointTable, _ names: ResolvedNames, changed query: NameQuery) -> RoutedListener {
    queries.contains(query) ? RoutedListener(self, endpoints, names) : self
  }

  private convenience init(_ previous: RoutedListener, _ endpoints: EndpointTable, _ names: ResolvedNames) {
    self.init(
      previous,
      clusters: RoutedListener.clusters(
        previous.targets, previous.loadAssignments, previous.takesNamesFromRequests ? previous.services : [],
        endpoints, names, object: previous.object, previous.registry, reusing: previous.clusters))
  }

  private init(_ previous: RoutedListener, clusters: [String: RoutedCluster]) {
    number = previous.number
    object = previous.object
    name = previous.name
    services = previous.services
    claims = previous.claims
    manager = previous.manager
    table = previous.table
    filters = previous.filters
    observer = previous.observer
    unrouted = previous.unrouted
    targets = previous.targets
    loadAssignments = previous.loadAssignments
    takesNamesFromRequests = previous.takesNamesFromRequests
    slots = previous.slots
    registry = previous.registry
    queries = previous.queries
    self.clusters = clusters
    watched = clusters.values.filter { $0.hasHealth || $0.specification.settings.isResolved }
    observer?.follow(manager.tracing, clusters, registry.outlets)
  }

  /// Whether the traffic of a service, `namespace/name`, is led here.
  public func leads(_ service: String, port: UInt16) -> Bool {
    guard let claims else { return services.contains(service) }
    return claims[service].map { $0.isEmpty || $0.contains(port) } ?? false
  }

  /// The same as the health of its clusters' endpoints is now; itself where nothing has changed.
  func refreshed() -> RoutedListener {
    var changed: [String: RoutedCluster] = [:]
    for cluster in watched {
      let current = cluster.refreshed()
      if current !== cluster { changed[cluster.name] = current }
    }
    return changed.isEmpty ? self : RoutedListener(self, clusters: clusters.merging(changed) { $1 })
  }

  /// nil where there is no cluster of that name: the answer is the route's `cluster_not_found_response_code`.
  public func cluster(_ name: String) -> RoutedCluster? { clusters[name] }

  /// Where a request is counted that took a route. `cluster` is the one that it went to; nil where the proxy answered itself.
  func metrics(_ choice: RouteChoice, cluster: RoutedCluster?) -> RouteMetrics {
    if choice.namesCluster,
      let known = slots[host: choice.hostIndex, route: choice.routeIndex, cluster: choice.weightedIndex ?? 0]
    {
      return known
    }
    func key(_ cluster: String) -> RouteMetrics.Key {
      RouteMetrics.Key(
        object: object, virtualHost: choice.virtualHost.name,
        route: choice.route.name.isEmpty ? "\(choice.routeIndex)" : choice.route.name, cluster: cluster)
    }
    func slot(_ index: Int, _ cluster: String) -> RouteMetrics {
      slots.metrics(host: choice.hostIndex, route: choice.routeIndex, cluster: index) { registry.route(key(cluster)) }
    }
    guard case .forward(let action) = choice.route.action else { return slot(0, "") }
    switch (action.destination, choice.weightedCluster?.name) {
    case (.cluster(let cluster), _): return slot(0, cluster.name)
    case (.weighted, .cluster(let cluster)?): return slot(choice.weightedIndex ?? 0, cluster.name)
    // Requests name it: what they name is bounded by the clusters that there are.
    default: return registry.route(key(cluster?.name ?? ""))
    }
  }

  private static func clusters(
    _ targets: [String: ClusterTarget], _ assignments: [String: LoadAssignment], _ services: [String],
    _ endpoints: EndpointTable, _ names: ResolvedNames, object: String, _ registry: RouteRegistry,
    reusing previous: [String: RoutedCluster]
  ) -> [String: RoutedCluster] {
    var clusters: [String: RoutedCluster] = [:]
    clusters.reserveCapacity(targets.count)
    func add(_ specification: ClusterSpecification) {
      let name = specification.name
      let known = previous[name]
      if let known, known.specification == specification {
        clusters[name] = known
      } else {
        let metrics = known?.metrics ?? registry.cluster(ClusterMetrics.Key(object: object, cluster: name))
        clusters[name] = RoutedCluster(specification, metrics: metrics, reusing: known)
      }
    }
    for (name, target) in targets {
      if let specification = ClusterSpecification(name, target, assignments, endpoints, names) { add(specification) }
    }
    for service in services {
      for name in endpoints.names(of: service) where clusters[name] == nil {
        guard let seats = endpoints.seats(name) else { continue }
        add(ClusterSpecification(name: name, settings: .init(version: endpoints.version(name)), seats: seats))
      }
    }
    return clusters
  }
}

extension ClusterTarget {
  /// The name by which the file of endpoints may have its endpoints.
  fileprivate func endpointsName(_ name: String) -> String? {
    switch self {
    case .service: name
    case .cluster(let cluster): cluster.discovery == .eds ? cluster.serviceName : nil
    }
  }
}

extension String {
  /// Whether it is a service's name, alone or with a port behind it.
  fileprivate func isCluster(of service: String) -> Bool {
    utf8.starts(with: service.utf8) && (utf8.count == service.utf8.count || dropFirst(service.count).first == ":")
  }
}

extension ClusterSpecification {
  /// nil for a service that is not there.
  init?(
    _ name: String, _ target: ClusterTarget, _ assignments: [String: LoadAssignment], _ endpoints: EndpointTable,
    _ names: ResolvedNames
  ) {
    switch target {
    case .service:
      guard let seats = endpoints.seats(name) else { return nil }
      self.init(name: name, settings: Settings(version: endpoints.version(name)), seats: seats)
    case .cluster(let cluster):
      let seats =
        switch cluster.discovery {
        case .eds: assignments[cluster.serviceName]?.seats ?? endpoints.seats(cluster.serviceName) ?? []
        case .fixed: cluster.loadAssignment?.seats ?? []
        case .strictDNS, .logicalDNS: cluster.resolvedSeats(names)
        }
      self.init(name: name, settings: Settings(cluster), seats: seats)
    }
  }
}
