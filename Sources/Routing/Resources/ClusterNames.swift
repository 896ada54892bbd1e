import JSON

/// A port of a service that a name stands for: `namespace/service`, or `namespace/service:port`.
public struct ServiceClusterName: Hashable, Sendable {
  public let namespace: String
  public let service: String
  /// A number or a port's name; nil for the service's only port.
  public let port: String?

  /// nil for a name without exactly one slash.
  public init?(_ name: String) {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else { return nil }
    let end = parts[1].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let service = end.first, !service.isEmpty, end.count == 1 || !end[1].isEmpty else { return nil }
    namespace = String(parts[0])
    self.service = String(service)
    port = end.count == 2 ? String(end[1]) : nil
  }

  public init(namespace: String, service: String, port: String? = nil) {
    self.namespace = namespace
    self.service = service
    self.port = port
  }
}

/// Where the requests of a cluster go.
public enum ClusterTarget: Hashable, Sendable {
  /// The endpoints of a service, chosen round robin: nothing declares the cluster but `services` or `backendServices`.
  case service(ServiceClusterName)
  case cluster(Cluster)
}

/// What the clusters that routes name stand for: one of the resources by its name, else a service that the object lists.
public struct ClusterNames: Sendable {
  private let resources: EnvoyResources
  /// As `namespace/service`.
  private let services: Set<String>

  /// - Parameter services: Those of `services` and `backendServices`.
  public init(_ resources: EnvoyResources, services: some Sequence<ServiceClusterName>) {
    self.resources = resources
    self.services = Set(services.map { "\($0.namespace)/\($0.service)" })
  }

  /// nil for a name that stands for nothing: requests get the route's `cluster_not_found_response_code`.
  public func target(_ name: String) -> ClusterTarget? {
    if let cluster = resources.clusters[name] { return .cluster(cluster) }
    guard let service = ServiceClusterName(name), isListed(service) else { return nil }
    return .service(service)
  }

  private func isListed(_ service: ServiceClusterName?) -> Bool {
    service.map { services.contains("\($0.namespace)/\($0.service)") } ?? false
  }

  /// Every cluster that the routes name, and that of their listener's collector of spans, or the first that stands for nothing
  /// as an error at its path; a Cluster that asks for the endpoints of a service that the object does not list is one at its own.
  public func targets(
    of routes: RouteConfiguration, collector: ClusterReference? = nil
  ) throws(FieldError) -> [String: ClusterTarget] {
    for cluster in resources.clusters.values.sorted(by: { $0.name < $1.name }) {
      guard cluster.discovery == .eds, resources.loadAssignments[cluster.serviceName] == nil else { continue }
      guard isListed(ServiceClusterName(cluster.serviceName)) else {
        throw FieldError(
          path: cluster.path,
          message: "endpoints of \"\(cluster.serviceName)\": neither a ClusterLoadAssignment of the resources nor a "
            + "service of the object")
      }
    }
    var targets: [String: ClusterTarget] = [:]
    let references = routes.clusterReferences + (collector.map { [$0] } ?? [])
    for reference in references where targets[reference.name] == nil {
      guard let target = target(reference.name) else {
        throw FieldError(
          path: reference.path,
          message: "\"\(reference.name)\" is neither a Cluster of the resources nor a service of the object")
      }
      targets[reference.name] = target
    }
    return targets
  }
}

extension RouteConfiguration {
  /// The clusters that routes name, in their order; those that headers of requests name are not among them.
  public var clusterReferences: [ClusterReference] {
    virtualHosts.flatMap { $0.routes.flatMap(\.clusterReferences) }
  }
}

extension Route {
  /// Whether requests may name any cluster of the listener.
  public var takesNameFromRequest: Bool {
    guard case .forward(let action) = action else { return false }
    return switch action.destination {
    case .cluster: false
    case .header: true
    case .weighted(let weighted):
      weighted.clusters.contains { if case .header = $0.name { true } else { false } }
    }
  }

  fileprivate var clusterReferences: [ClusterReference] {
    guard case .forward(let action) = action else { return [] }
    return switch action.destination {
    case .cluster(let cluster): [cluster]
    case .header: []
    case .weighted(let weighted):
      weighted.clusters.compactMap { if case .cluster(let cluster) = $0.name { cluster } else { nil } }
    }
  }
}
