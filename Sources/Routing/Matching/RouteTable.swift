import JSON
import ProxyRules

/// A ``RouteConfiguration``, compiled: what the proxy asks for each request. Choosing a route allocates nothing and takes
/// time that does not grow with the number of routes whose paths do not match.
public final class RouteTable: Sendable {
  public let configuration: RouteConfiguration
  private let domains: DomainIndex
  private let hosts: [CompiledHost]
  let filters: FilterOverrides?

  /// Virtual hosts and routes that equal one of `previous` are taken from there. Throws for a regular expression that is too
  /// large, and for two virtual hosts with one name or one domain.
  public init(_ configuration: RouteConfiguration, reusing previous: RouteTable? = nil) throws(FieldError) {
    self.configuration = configuration
    filters =
      try previous?.configuration.filters == configuration.filters
      ? previous?.filters : FilterOverrides.compile(configuration.filters)
    if let previous, RouteTable.haveSameDomains(configuration, previous.configuration) {
      domains = previous.domains
    } else {
      domains = try DomainIndex(configuration.virtualHosts, ignoresPort: configuration.ignoresPort)
    }
    let known = Dictionary(
      previous?.hosts.map { ($0.host.name, $0) } ?? [], uniquingKeysWith: { first, _ in first })
    var names: Set<String> = []
    var hosts: [CompiledHost] = []
    for host in configuration.virtualHosts {
      guard names.insert(host.name).inserted else {
        throw FieldError(path: "\(host.path).name", message: "\"\(host.name)\" is a virtual host twice")
      }
      if let same = known[host.name], same.host == host {
        hosts.append(same)
      } else {
        hosts.append(try CompiledHost(host, reusing: known[host.name]))
      }
    }
    self.hosts = hosts
  }

  private static func haveSameDomains(_ left: RouteConfiguration, _ right: RouteConfiguration) -> Bool {
    left.ignoresPort == right.ignoresPort
      && left.virtualHosts.elementsEqual(right.virtualHosts) { $0 === $1 || $0.domains == $1.domains }
  }

  /// What is to become of a request. `random` decides on fractions and weights: any number, the same for retries.
  public func choose(_ request: RequestView, random: UInt64) -> RouteResult {
    guard let index = hostIndex(for: request) else { return .notFound }
    let host = hosts[index]
    if host.host.requiresTLS, request.connection.scheme != "https" { return .redirectToTLS }
    guard let route = host.first(request, random: random) else { return .notFound }
    var weighted: Int?
    if case .forward(let action) = route.route.action, case .weighted(let clusters) = action.destination {
      weighted = clusters.choose(RouteTable.random(clusters, request) ?? random)
    }
    return .route(RouteChoice(table: self, host: host, hostIndex: index, route: route, weighted: weighted))
  }

  /// The place of the virtual host of a request's authority.
  func hostIndex(for request: RequestView) -> Int? { domains.find(request.http.host) }

  /// The random number that a header gives.
  private static func random(_ clusters: WeightedClusters, _ request: RequestView) -> UInt64? {
    guard let name = clusters.randomHeader else { return nil }
    return request.withHeader(Array(name.utf8)) { value in
      guard let value, value.count <= 20 else { return nil }
      return UInt64(String(decoding: value, as: UTF8.self))
    }
  }
}

/// What a table says about a request.
public enum RouteResult: Sendable {
  /// No virtual host, or none of its routes: 404.
  case notFound
  /// The virtual host is only for TLS: 301 to the same address with https.
  case redirectToTLS
  case route(RouteChoice)
}

/// The route of a request, and which of its weighted clusters.
public struct RouteChoice: Sendable {
  let table: RouteTable
  let host: CompiledHost
  let compiled: CompiledRoute
  /// The virtual host's place in the configuration.
  public let hostIndex: Int
  /// The place of the weighted cluster that was chosen.
  public let weightedIndex: Int?

  init(table: RouteTable, host: CompiledHost, hostIndex: Int, route: CompiledRoute, weighted: Int?) {
    self.table = table
    self.host = host
    self.hostIndex = hostIndex
    compiled = route
    weightedIndex = weighted
  }

  public var virtualHost: VirtualHost { host.host }
  public var route: Route { compiled.route }
  /// The route's place in the virtual host.
  public var routeIndex: Int { compiled.index }

  /// Whether the configuration, rather than the request, says which cluster it is; false where the proxy answers itself.
  public var namesCluster: Bool { compiled.namesCluster }

  /// When the request is sent once more; nil for never.
  public var retry: RetryRules? { compiled.retry }

  /// Whether any level changes the headers of responses; where none does, there is nothing to ask ``responseEdits`` for.
  public var changesResponses: Bool {
    !compiled.route.responseHeaders.isEmpty || !host.host.responseHeaders.isEmpty
      || !table.configuration.responseHeaders.isEmpty || weightedCluster?.responseHeaders.isEmpty == false
  }

  /// The weighted cluster that was chosen.
  public var weightedCluster: WeightedClusters.Cluster? {
    guard let weightedIndex, case .forward(let action) = route.action, case .weighted(let clusters) = action.destination
    else { return nil }
    return clusters.clusters[weightedIndex]
  }

  /// The levels that change headers, in the order in which they do; a weighted cluster is before all of them.
  var levels: [HeaderLevel] {
    let levels: [HeaderLevel] = [.route(route), .host(host.host), .table(table.configuration)]
    return table.configuration.mostSpecificHeadersWin ? levels.reversed() : levels
  }
}

/// A level of the configuration that changes headers.
enum HeaderLevel {
  case weighted(WeightedClusters.Cluster)
  case route(Route)
  case host(VirtualHost)
  case table(RouteConfiguration)

  var requestHeaders: HeaderMutations {
    switch self {
    case .weighted(let cluster): cluster.requestHeaders
    case .route(let route): route.requestHeaders
    case .host(let host): host.requestHeaders
    case .table(let table): table.requestHeaders
    }
  }

  var responseHeaders: HeaderMutations {
    switch self {
    case .weighted(let cluster): cluster.responseHeaders
    case .route(let route): route.responseHeaders
    case .host(let host): host.responseHeaders
    case .table(let table): table.responseHeaders
    }
  }
}
