import JSON
import KubernetesAPI
import Labels
import Routing
import Services

/// A CiliumEnvoyConfig or CiliumClusterwideEnvoyConfig that can be followed as it is written.
struct EnvoyConfig: Sendable {
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
  /// The resources, and what is decoded of them.
  let resources: ResourceTexts
  /// The rest of the `spec`, as written.
  let rest: JSONValue
  /// The clusters of services that the routes of each listener name, as ``RoutedClusters`` takes them.
  let clusters: [String: Set<String>]

  /// The listeners that traffic goes to, in the order of their names.
  var listeners: [String] { Set(claims.map(\.listener)).sorted() }

  /// The object without what changes from write to write, as JSON.
  var document: [UInt8] {
    var metadata: JSONValue = ["name": .string(key.name), "creationTimestamp": .string(created)]
    if let namespace = key.namespace { metadata["namespace"] = .string(namespace) }
    let rest = self.rest.objectValue ?? [:]
    let spec = rest.sorted { $0.key < $1.key }.map { ($0.key, $0.value.serialized()) } + [("resources", resources.text)]
    return JSONText.object([
      ("apiVersion", JSONValue.string(CiliumEnvoyConfig.resource.apiVersion).serialized()),
      ("kind", JSONValue.string(key.kind).serialized()), ("metadata", metadata.serialized()),
      ("spec", JSONText.object(spec)),
    ])
  }

  /// From ``document``.
  init(document: JSONValue) throws(FieldError) {
    if document["kind"]?.stringValue == CiliumEnvoyConfig.resource.kind {
      try self.init(CiliumEnvoyConfig(document))
    } else {
      try self.init(CiliumClusterwideEnvoyConfig(document))
    }
  }

  /// - Parameters:
  ///   - text: the object's resources, where they are serialized already.
  ///   - previous: the version until now; what of its resources has not changed is not decoded again.
  init(
    _ object: some EnvoyConfigObject, text: [UInt8]? = nil, reusing previous: EnvoyConfig? = nil
  ) throws(FieldError) {
    let text = text ?? object.spec.resources.value.serialized()
    guard let previous else {
      try self.init(object, EnvoyConfig.resources(object, text))
      return
    }
    do throws(FieldError) {
      try self.init(object, EnvoyConfig.resources(object, text, reusing: previous.resources))
    } catch {
      // What was taken over may have another path now, so the error is found out anew.
      try self.init(object, EnvoyConfig.resources(object, text))
    }
  }

  private static func resources(
    _ object: some EnvoyConfigObject, _ text: [UInt8], reusing previous: ResourceTexts? = nil
  ) throws(FieldError) -> ResourceTexts {
    try ResourceTexts(text, in: text.indices, path: object.spec.resources.path, reusing: previous)
  }

  private init(_ object: some EnvoyConfigObject, _ resources: ResourceTexts) throws(FieldError) {
    let (spec, decoded) = (object.spec, resources.resources)
    key = object.key
    created = object.metadata.creationTimestamp ?? "~"
    nodeSelector = spec.nodeSelector
    self.resources = resources
    rest = object.specWithoutResources
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
      clusters[listener.name] = try EnvoyConfig.clusters(
        of: routes, collector: listener.http?.tracing?.collector.cluster, names, decoded, services)
      if let manager = listener.http { _ = try FilterChain.make(manager, routes) }
    }
    self.clusters = clusters
  }

  private static func clusters(
    of routes: RouteConfiguration, collector: ClusterReference?, _ names: ClusterNames, _ resources: EnvoyResources,
    _ services: [ServiceName]
  ) throws(FieldError) -> Set<String> {
    var found: Set<String> = []
    func add(_ cluster: Cluster) {
      if cluster.discovery == .eds, resources.loadAssignments[cluster.serviceName] == nil {
        found.insert(cluster.serviceName)
      }
    }
    for (name, target) in try names.targets(of: routes, collector: collector) {
      switch target {
      case .service: found.insert(name)
      case .cluster(let cluster): add(cluster)
      }
    }
    // A header may name any of them.
    if routes.virtualHosts.contains(where: { $0.routes.contains(where: \.takesNameFromRequest) }) {
      for service in services { found.insert("\(service):\(RoutedClusters.everyPort)") }
      for cluster in resources.clusters.values { add(cluster) }
    }
    return found
  }
}

extension EnvoyConfig: Equatable {
  static func == (left: EnvoyConfig, right: EnvoyConfig) -> Bool {
    left.key == right.key && left.created == right.created && left.rest == right.rest
      && left.resources.text == right.resources.text
  }
}

extension EnvoyConfigObject {
  var specWithoutResources: JSONValue {
    var spec = raw["spec"] ?? [:]
    spec["resources"] = nil
    return spec
  }
}
