import Synchronization

/// What is counted of routes and clusters. It outlives their configurations, so that counters never go back; what belongs to
/// an object that has gone goes with it.
final class RouteRegistry: Sendable {
  /// Routes that are counted by themselves; further ones are counted together, as `other`.
  static let maximumRoutes = 10_000

  private struct State {
    var routes: [RouteMetrics.Key: RouteMetrics] = [:]
    var clusters: [ClusterMetrics.Key: ClusterMetrics] = [:]
  }

  private let state = Mutex(State())
  /// Endpoints that fail too often.
  let suspects = HealthSuspects()
  /// Where what is told of requests goes.
  let outlets: Outlets

  init(outlets: Outlets = Outlets()) { self.outlets = outlets }

  func route(_ key: RouteMetrics.Key) -> RouteMetrics {
    state.withLock { state in
      if let known = state.routes[key] { return known }
      var key = key
      if state.routes.count >= RouteRegistry.maximumRoutes {
        key = RouteMetrics.Key(object: key.object, virtualHost: "", route: "other", cluster: "")
        if let known = state.routes[key] { return known }
      }
      let new = RouteMetrics(key)
      state.routes[key] = new
      return new
    }
  }

  func cluster(_ key: ClusterMetrics.Key) -> ClusterMetrics {
    state.withLock { state in
      if let known = state.clusters[key] { return known }
      let new = ClusterMetrics(key, suspects: suspects)
      state.clusters[key] = new
      return new
    }
  }

  /// Forgets what belongs to none of these objects.
  func keep(_ objects: Set<String>) {
    state.withLock { state in
      state.routes = state.routes.filter { objects.contains($0.key.object) }
      state.clusters = state.clusters.filter { objects.contains($0.key.object) }
    }
  }

  var routes: [RouteMetrics] { state.withLock { Array($0.routes.values) } }
  var clusters: [ClusterMetrics] { state.withLock { Array($0.clusters.values) } }
}
