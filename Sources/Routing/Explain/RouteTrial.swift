import JSON
import ProxyRules

/// What each condition of a route says about a request: for explanations, where time does not matter.
public struct RouteTrial: Hashable, Sendable {
  public struct Condition: Hashable, Sendable {
    /// `the path begins with "/api"`
    public let text: String
    public let holds: Bool
  }

  public let route: Route
  /// The route's place in the virtual host.
  public let index: Int
  public let conditions: [Condition]

  public var holds: Bool { conditions.allSatisfy(\.holds) }
  public var failures: [Condition] { conditions.filter { !$0.holds } }
}

/// The virtual host of a request's authority.
public struct HostMatch: Hashable, Sendable {
  public let host: VirtualHost
  /// Its place in the configuration.
  public let index: Int
  /// By which it is the request's.
  public let domain: String
}

extension RouteTable {
  /// nil where none is for the request's authority.
  public func host(for request: RequestView) -> HostMatch? {
    guard let index = hostIndex(for: request) else { return nil }
    let host = configuration.virtualHosts[index]
    var best = ""
    for domain in host.domains
    where domain.isDomain(of: request.http.host, ignoringPort: configuration.ignoresPort)
      && domain.rank > best.rank
    { best = domain }
    return HostMatch(host: host, index: index, domain: best)
  }

  /// What the routes of a virtual host say about a request, in their order. Where `random` decides on a fraction, it does here
  /// as in ``choose(_:random:)``.
  public func trials(_ match: HostMatch, _ request: RequestView, random: UInt64) throws(FieldError) -> [RouteTrial] {
    var trials: [RouteTrial] = []
    for (index, route) in match.host.routes.enumerated() {
      trials.append(
        RouteTrial(route: route, index: index, conditions: try RouteTable.conditions(route, request, random)))
    }
    return trials
  }

  private static func conditions(
    _ route: Route, _ request: RequestView, _ random: UInt64
  ) throws(FieldError) -> [RouteTrial.Condition] {
    let match = route.match
    let path = try PathIndex([route])
    var conditions = [
      RouteTrial.Condition(
        text: match.pathWords, holds: path.first(request.http.path.withoutQuery) { _ in true } != nil)
    ]
    for matcher in match.headers {
      conditions.append(.init(text: matcher.words, holds: try HeaderTest(matcher).holds(for: request)))
    }
    for matcher in match.queryParameters {
      let query = request.http.path.query
      conditions.append(.init(text: matcher.words, holds: try QueryTest(matcher).holds(for: query)))
    }
    if match.isGRPC {
      conditions.append(.init(text: "the content type is gRPC's", holds: CompiledRoute.isGRPC(request)))
    }
    if let fraction = match.fraction {
      conditions.append(
        .init(
          text: "it is of the \(fraction.numerator) in \(fraction.denominator) requests",
          holds: fraction.contains(random)))
    }
    return conditions
  }
}

extension RouteChoice {
  /// The same with another of the route's weighted clusters.
  public func choosing(weighted index: Int) -> RouteChoice {
    RouteChoice(table: table, host: host, hostIndex: hostIndex, route: compiled, weighted: index)
  }
}

extension String {
  /// Of the domains that an authority matches, the highest is what makes a virtual host its own.
  fileprivate var rank: Int {
    if isEmpty { return -1 }
    if self == "*" { return 0 }
    let length = utf8.count
    return hasPrefix("*") ? length + 100_000 : hasSuffix("*") ? length : length + 200_000
  }

  fileprivate func isDomain(of authority: UnsafeRawBufferPointer?, ignoringPort: Bool) -> Bool {
    if self == "*" { return true }
    guard let authority else { return false }
    let name = (ignoringPort ? authority.withoutPort : authority).map(\.asciiLowercased)
    let domain = asciiLowercased.utf8
    if hasPrefix("*") {
      return name.count >= domain.count && name.suffix(domain.count - 1).elementsEqual(domain.dropFirst())
    }
    if hasSuffix("*") { return name.count >= domain.count && name.starts(with: domain.dropLast()) }
    return name.elementsEqual(domain)
  }
}
