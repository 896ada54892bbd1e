import Routing

/// The endpoints of a cluster, and how one is chosen for each request. Immutable, but for what is counted: other endpoints, or
/// a change of their health, make another cluster, which takes the endpoints that stay, the turns and the metrics over.
public final class RoutedCluster: Sendable {
  let specification: ClusterSpecification
  /// Sorted by their priorities, then by their addresses.
  public let endpoints: [RoutedEndpoint]
  public let metrics: ClusterMetrics
  let serving: ServingEndpoints
  /// Whether an endpoint may be there and not serve.
  let hasHealth: Bool
  private let turns: Turns
  /// The endpoints of one family each, where there are both.
  private let families: (ipv4: RoutedCluster, ipv6: RoutedCluster)?

  public var name: String { specification.name }
  public var breakers: CircuitBreakers { specification.breakers }
  /// What is spoken to the endpoints.
  public var version: Cluster.Version { specification.settings.version }
  /// For a connection to an endpoint.
  public var connectTimeout: Duration { specification.connectTimeout }

  /// - Parameter previous: The cluster of that name until now.
  convenience init(
    _ specification: ClusterSpecification, metrics: ClusterMetrics, reusing previous: RoutedCluster? = nil
  ) {
    let known = Dictionary(previous?.endpoints.map { ($0.identity, $0) } ?? [], uniquingKeysWith: { first, _ in first })
    let identities = specification.seats.map(specification.identity)
    let endpoints =
      identities.allSatisfy { known[$0] != nil }
      ? identities.compactMap { known[$0] } : metrics.directory.endpoints(identities, known: known)
    self.init(specification, endpoints, metrics: metrics, reusing: previous)
  }

  private init(
    _ specification: ClusterSpecification, _ endpoints: [RoutedEndpoint], metrics: ClusterMetrics,
    reusing previous: RoutedCluster?
  ) {
    self.specification = specification
    self.endpoints = endpoints
    self.metrics = metrics
    hasHealth = specification.hasHealth
    turns = previous?.turns ?? Turns()
    serving = ServingEndpoints(specification, endpoints, turns: turns, reusing: previous?.reusable(specification))
    func family(isIPv4: Bool, _ previous: RoutedCluster?) -> RoutedCluster {
      RoutedCluster(
        specification.ofFamily(isIPv4: isIPv4), endpoints.filter { $0.address.address.isIPv4 == isIPv4 },
        metrics: metrics, reusing: previous)
    }
    if let first = endpoints.first?.address.address.isIPv4,
      endpoints.contains(where: { $0.address.address.isIPv4 != first })
    {
      families = (
        family(isIPv4: true, previous?.families?.ipv4), family(isIPv4: false, previous?.families?.ipv6)
      )
    } else {
      families = nil
    }
  }

  private func reusable(_ specification: ClusterSpecification) -> ServingEndpoints? {
    self.specification.balancing == specification.balancing ? serving : nil
  }

  /// The same as the health of its endpoints is now; itself where nothing has changed.
  func refreshed() -> RoutedCluster {
    guard hasHealth else { return self }
    let health = zip(endpoints, specification.seats).map { $0.health.verdict(status: $1.status) }
    return health == serving.health ? self : RoutedCluster(specification, endpoints, metrics: metrics, reusing: self)
  }

  /// The cluster as a client sees it that can only talk to servers of its own family, as it keeps its address towards them.
  /// nil where it has no such endpoint.
  func reachable(isIPv4: Bool) -> RoutedCluster? {
    if let families { return isIPv4 ? families.ipv4 : families.ipv6 }
    return endpoints.first?.address.address.isIPv4 == isIPv4 ? self : nil
  }

  /// The endpoint for a request; nil where there is none that serves.
  ///
  /// - Parameters:
  ///   - random: Any number, also the one that chose the route.
  ///   - hash: Of what the route's hash policies name; without one `random` takes its place.
  ///   - avoiding: Endpoints that have failed this request: taken again only when there are no others.
  public func pick(random: UInt64, hash: UInt64? = nil, avoiding: [SocketAddress] = []) -> RoutedEndpoint? {
    serving.group(hash ?? random)?.pick(random: random, hash: hash, avoiding: avoiding)
  }
}
