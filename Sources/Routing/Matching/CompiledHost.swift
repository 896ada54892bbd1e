import JSON

/// A virtual host, ready to be asked. Classes, as copying the values for each request would retain their many arrays.
final class CompiledHost: Sendable {
  let host: VirtualHost
  let routes: [CompiledRoute]
  private let paths: PathIndex

  init(_ host: VirtualHost) throws(FieldError) {
    self.host = host
    paths = try PathIndex(host.routes)
    var routes: [CompiledRoute] = []
    for (index, route) in host.routes.enumerated() {
      routes.append(try CompiledRoute(route, index, hostRetry: host.retry))
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
    if case .forward(let action) = route.action, let policy = action.retry ?? hostRetry {
      retry = try RetryRules(policy)
    } else {
      retry = nil
    }
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
  private static func isGRPC(_ request: RequestView) -> Bool {
    request.withHeader(contentType) { value in
      guard let value, value.starts(with: grpc) else { return false }
      return value.count == grpc.count || value[grpc.count] == UInt8(ascii: "+")
    }
  }
}
