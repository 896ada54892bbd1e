import JSON
import KubernetesAPI
import Labels
import Routing
import Services

/// A CiliumEnvoyConfig or CiliumClusterwideEnvoyConfig that can be followed as it is written.
struct EnvoyConfig: Hashable, Sendable {
  /// A service whose traffic goes to one of the listeners.
  struct Claim: Hashable, Sendable {
    let service: ServiceName
    /// Empty for all of them.
    let ports: Set<UInt16>
    let listener: String
    let path: String
  }

  let key: ObjectKey
  /// RFC 3339, so that the older of two is the lesser.
  let created: String
  let nodeSelector: LabelSelector
  let claims: [Claim]
  /// Those that clusters may name.
  let services: [ServiceName]
  /// As written.
  let resources: JSONValue
  /// The object without what changes from write to write.
  let document: JSONValue
  /// The clusters of services that the routes of each listener name, as ``RoutedClusters`` takes them.
  let clusters: [String: Set<String>]

  /// The listeners that traffic goes to, in the order of their names.
  var listeners: [String] { Set(claims.map(\.listener)).sorted() }

  /// From ``document``.
  init(document: JSONValue) throws(FieldError) {
    if document["kind"]?.stringValue == CiliumEnvoyConfig.resource.kind {
      try self.init(CiliumEnvoyConfig(document))
    } else {
      try self.init(CiliumClusterwideEnvoyConfig(document))
    }
  }

  init(_ object: some EnvoyConfigObject) throws(FieldError) {
    let (spec, raw) = (object.spec, object.raw)
    let decoded = try EnvoyResources(JSONCursor(spec.resources.value, path: spec.resources.path))
    key = object.key
    created = object.metadata.creationTimestamp ?? "~"
    nodeSelector = spec.nodeSelector
    resources = spec.resources.value
    var metadata: JSONValue = ["name": .string(key.name), "creationTimestamp": .string(created)]
    if let namespace = key.namespace { metadata["namespace"] = .string(namespace) }
    document = [
      "apiVersion": raw["apiVersion"] ?? .null, "kind": .string(key.kind), "metadata": metadata,
      "spec": raw["spec"] ?? .null,
    ]
    services = Set(
      spec.services.map { ServiceName(namespace: $0.namespace, name: $0.name) }
        + spec.backendServices.map { ServiceName(namespace: $0.namespace, name: $0.name) }
    ).sorted()
    var claims: [Claim] = []
    for service in spec.services {
      let listener = decoded.listeners.first { service.listener == nil || $0.name == service.listener }
      guard let listener else {
        throw FieldError(
          path: service.listener == nil ? spec.resources.path : service.path + ".listener",
          message: service.listener.map { "no Listener \"\($0)\" among the resources" } ?? "no Listener among them")
      }
      claims.append(
        Claim(
          service: ServiceName(namespace: service.namespace, name: service.name), ports: Set(service.ports),
          listener: listener.name, path: service.path))
    }
    self.claims = claims
    let names = ClusterNames(
      decoded, services: services.map { ServiceClusterName(namespace: $0.namespace, service: $0.name) })
    // Also of listeners that nothing goes to: what is written must not be wrong unnoticed.
    var clusters: [String: Set<String>] = [:]
    for listener in decoded.listeners {
      guard let routes = decoded.routes(of: listener) else { continue }
      clusters[listener.name] = try EnvoyConfig.clusters(of: routes, names, decoded, services)
    }
    self.clusters = clusters
  }

  private static func clusters(
    of routes: RouteConfiguration, _ names: ClusterNames, _ resources: EnvoyResources, _ services: [ServiceName]
  ) throws(FieldError) -> Set<String> {
    var found: Set<String> = []
    func add(_ cluster: Cluster) {
      if cluster.discovery == .eds, resources.loadAssignments[cluster.serviceName] == nil {
        found.insert(cluster.serviceName)
      }
    }
    for (name, target) in try names.targets(of: routes) {
      switch target {
      case .service: found.insert(name)
      case .cluster(let cluster): add(cluster)
      }
    }
    // A header may name any of them.
    if routes.namesClustersByHeader {
      for service in services { found.insert("\(service):\(RoutedClusters.everyPort)") }
      for cluster in resources.clusters.values { add(cluster) }
    }
    return found
  }
}

extension RouteConfiguration {
  /// Whether requests name their cluster in some route.
  fileprivate var namesClustersByHeader: Bool {
    virtualHosts.contains { host in
      host.routes.contains { route in
        guard case .forward(let action) = route.action else { return false }
        return switch action.destination {
        case .header: true
        case .cluster: false
        case .weighted(let weighted):
          weighted.clusters.contains { if case .cluster = $0.name { false } else { true } }
        }
      }
    }
  }
}
