import JSON

/// The `resources` of a CiliumEnvoyConfig: Envoy's messages, each packed in an Any.
public struct EnvoyResources: Hashable, Sendable {
  public private(set) var listeners: [Listener] = []
  /// By name, as listeners ask for them with `rds`.
  public private(set) var routeConfigurations: [String: RouteConfiguration] = [:]
  public private(set) var clusters: [String: Cluster] = [:]
  /// By the name of the cluster.
  public private(set) var loadAssignments: [String: LoadAssignment] = [:]

  /// Decodes the array at `cursor`: `spec.resources`.
  public init(_ cursor: JSONCursor) throws(FieldError) {
    for element in try cursor.elements() { try add(element) }
    for listener in listeners {
      guard case .named(let route)? = listener.http?.routes else { continue }
      guard routeConfigurations[route.name] != nil else {
        throw FieldError(path: route.path, message: "no RouteConfiguration \"\(route.name)\" among the resources")
      }
    }
  }

  private mutating func add(_ cursor: JSONCursor) throws(FieldError) {
    switch try cursor.protobufType() {
    case "envoy.config.listener.v3.Listener":
      let listener = try Listener(cursor)
      guard !listeners.contains(where: { $0.name == listener.name }) else {
        throw cursor.error("a second listener \"\(listener.name)\"")
      }
      listeners.append(listener)
    case RouteConfiguration.fields.message:
      let routes = try RouteConfiguration(cursor)
      try EnvoyResources.insert(routes, as: routes.name, into: &routeConfigurations, cursor)
    case Cluster.fields.message:
      let cluster = try Cluster(cursor)
      try EnvoyResources.insert(cluster, as: cluster.name, into: &clusters, cursor)
    case LoadAssignment.fields.message:
      let assignment = try LoadAssignment(cursor)
      try EnvoyResources.insert(assignment, as: assignment.cluster, into: &loadAssignments, cursor)
    case "envoy.extensions.transport_sockets.tls.v3.Secret":
      throw try cursor.required("@type").error("Secrets are not supported yet")
    default:
      throw try cursor.unsupportedType("Listener, RouteConfiguration, Cluster and ClusterLoadAssignment are")
    }
  }

  private static func insert<Resource>(
    _ resource: Resource, as name: String, into resources: inout [String: Resource], _ cursor: JSONCursor
  ) throws(FieldError) {
    guard !name.isEmpty else { throw cursor.error("needs a name") }
    guard resources.updateValue(resource, forKey: name) == nil else {
      throw cursor.error("a second resource \"\(name)\" of its type")
    }
  }

  /// The routes of a listener: its own, or those of the RouteConfiguration that it names.
  public func routes(of listener: Listener) -> RouteConfiguration? {
    switch listener.http?.routes {
    case .inline(let routes): routes
    case .named(let reference): routeConfigurations[reference.name]
    case nil: nil
    }
  }
}
