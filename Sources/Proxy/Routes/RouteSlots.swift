import Routing
import Synchronization

/// Where the metrics of a table's routes are found without a lock: a place for each route and each cluster that it names,
/// filled by the first request.
// The memory is only ever touched through its atomics, and lives as long as the object: safe to share, which the compiler
// can not see behind a pointer.
final class RouteSlots: @unchecked Sendable {
  /// For each virtual host, where its routes begin in `starts`.
  private let hosts: [Int]
  /// For each route, its first place; one more than there are routes.
  private let starts: [UInt32]
  private let places: UnsafeMutablePointer<AtomicLazyReference<RouteMetrics>>
  private let count: Int

  init(_ configuration: RouteConfiguration) {
    var hosts: [Int] = []
    var starts: [UInt32] = [0]
    for host in configuration.virtualHosts {
      hosts.append(starts.count - 1)
      for route in host.routes { starts.append(starts[starts.count - 1] + UInt32(route.clusterCount)) }
    }
    self.hosts = hosts
    self.starts = starts
    count = Int(starts[starts.count - 1])
    places = .allocate(capacity: count)
    for index in 0..<count { (places + index).initialize(to: AtomicLazyReference()) }
  }

  deinit {
    places.deinitialize(count: count)
    places.deallocate()
  }

  /// nil where the place is empty.
  subscript(host host: Int, route route: Int, cluster cluster: Int) -> RouteMetrics? {
    places[place(host, route, cluster)].load()
  }

  /// - Parameter make: Called where the place is empty.
  func metrics(host: Int, route: Int, cluster: Int, _ make: () -> RouteMetrics) -> RouteMetrics {
    let place = place(host, route, cluster)
    return places[place].load() ?? places[place].storeIfNil(make())
  }

  private func place(_ host: Int, _ route: Int, _ cluster: Int) -> Int {
    let route = hosts[host] &+ route
    let place = Int(starts[route]) &+ cluster
    precondition(place < Int(starts[route &+ 1]))
    return place
  }
}

extension Route {
  /// How many clusters it tells apart.
  fileprivate var clusterCount: Int {
    if case .forward(let action) = action, case .weighted(let weighted) = action.destination {
      return weighted.clusters.count
    }
    return 1
  }
}
