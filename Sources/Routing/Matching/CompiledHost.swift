import JSON

/// A virtual host, ready to be asked. Classes, as copying the values for each request would retain their many arrays.
final class CompiledHost: Sendable {
  let host: VirtualHost
  let routes: [CompiledRoute]
  private let paths: PathIndex
  let filters: FilterOverrides?

  /// - Parameter previous: The virtual host of that name until now. Routes that equal one of its are taken from there.
  init(_ host: VirtualHost, reusing previous: CompiledHost? = nil) throws(FieldError) {
    self.host = host
    // What is counted in them goes on.
    filters =
      try previous?.host.filters == host.filters
      ? previous?.filters : FilterOverrides.compile(host.filters)
    let known = previous?.host.routes ?? []
    let counterparts = Alignment(host.routes.count, known.count) { host.routes[$0] === known[$1] }
    // What routes inherit from it is compiled into them.
    let hasSameRetry = previous?.host.retry == host.retry
    paths = try PathIndex(host.routes, reusing: previous?.paths, of: known)
    var routes: [CompiledRoute] = []
    routes.reserveCapacity(host.routes.count)
    for (index, route) in host.routes.enumerated() {
      if let place = counterparts[index], hasSameRetry, let same = previous?.routes[place], same.route == route {
        routes.append(same.index == index ? same : CompiledRoute(same, at: index))
      } else {
        routes.append(try CompiledRoute(route, index, hostRetry: host.retry))
      }
    }
    self.routes = routes
  }

  /// The first route that matches.
  func first(_ request: RequestView, random: UInt64) -> CompiledRoute? {
    paths.first(request.http.path.withoutQuery) { routes[$0].accepts(request, random: random) }.map { routes[$0] }
  }
}

/// A route, ready to be asked about all but its path.
final class CompiledRoute: Sendable {
  let route: Route
  /// Its place in the virtual host.
  let index: Int
  private let headers: [HeaderTest]
  private let parameters: [QueryTest]
  private let fraction: Fraction?
  private let isGRPC: Bool
  /// nil where requests are sent once.
  let retry: RetryRules?
  let filters: FilterOverrides?
  /// Of each weighted cluster; empty where none of them says anything.
  let clusterFilters: [FilterOverrides?]
  /// Whether each cluster that requests may go to is named by the route itself.
  let namesCluster: Bool
  /// What becomes of every request alike, as far as the route says: one for each weighted cluster. Empty where it depends on the
  /// request.
  let forwardings: [Forwarding]

  /// - Parameter hostRetry: the virtual host's, for a route without a policy of its own.
  init(_ route: Route, _ index: Int, hostRetry: RetryPolicy?) throws(FieldError) {
    self.route = route
    self.index = index
    var headers: [HeaderTest] = []
    for matcher in route.match.headers { headers.append(try HeaderTest(matcher)) }
    var parameters: [QueryTest] = []
    for matcher in route.match.queryParameters { parameters.append(try QueryTest(matcher)) }
    self.headers = headers
    self.parameters = parameters
    fraction = route.match.fraction
    isGRPC = route.match.isGRPC
    filters = try FilterOverrides.compile(route.filters)
    clusterFilters = try CompiledRoute.clusterFilters(route)
    namesCluster = if case .forward = route.action { !route.takesNameFromRequest } else { false }
    forwardings = Forwarding.unchanged(route)
    if case .forward(let action) = route.action, let policy = action.retry ?? hostRetry {
      retry = try RetryRules(policy)
    } else {
      retry = nil
    }
  }

  /// The same in another place.
  init(_ other: CompiledRoute, at index: Int) {
    route = other.route
    self.index = index
    headers = other.headers
    parameters = other.parameters
    fraction = other.fraction
    isGRPC = other.isGRPC
    retry = other.retry
    filters = other.filters
    clusterFilters = other.clusterFilters
    namesCluster = other.namesCluster
    forwardings = other.forwardings
  }

  private static func clusterFilters(_ route: Route) throws(FieldError) -> [FilterOverrides?] {
    guard case .forward(let action) = route.action, case .weighted(let weighted) = action.destination,
      weighted.clusters.contains(where: { !$0.filters.isEmpty })
    else { return [] }
    var overrides: [FilterOverrides?] = []
    for cluster in weighted.clusters { overrides.append(try FilterOverrides.compile(cluster.filters)) }
    return overrides
  }

  func accepts(_ request: RequestView, random: UInt64) -> Bool {
    if let fraction, !fraction.contains(random) { return false }
    if isGRPC, !CompiledRoute.isGRPC(request) { return false }
    for test in headers where !test.holds(for: request) { return false }
    if !parameters.isEmpty {
      let query = request.http.path.query
      for test in parameters where !test.holds(for: query) { return false }
    }
    return true
  }

  private static let contentType = Array("content-type".utf8)
  private static let grpc = Array("application/grpc".utf8)

  /// `application/grpc`, alone or with `+proto` and the like behind it.
  static func isGRPC(_ request: RequestView) -> Bool {
    request.withHeader(contentType) { value in
      guard let value, value.starts(with: grpc) else { return false }
      return value.count == grpc.count || value[grpc.count] == UInt8(ascii: "+")
    }
  }
}
