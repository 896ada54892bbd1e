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
    for element in try cursor.elements() { try add(try EnvoyResource(element), element) }
    try checkReferences()
  }

  init() {}

  /// Every RouteConfiguration that a listener asks for must be there.
  func checkReferences() throws(FieldError) {
    for listener in listeners {
      guard case .named(let route)? = listener.http?.routes else { continue }
      guard routeConfigurations[route.name] != nil else {
        throw FieldError(path: route.path, message: "no RouteConfiguration \"\(route.name)\" among the resources")
      }
    }
  }

  /// `cursor` is where `resource` is written.
  mutating func add(_ resource: EnvoyResource, _ cursor: JSONCursor) throws(FieldError) {
    switch resource {
    case .listener(let listener):
      guard !listeners.contains(where: { $0.name == listener.name }) else {
        throw cursor.error("a second listener \"\(listener.name)\"")
      }
      listeners.append(listener)
    case .routes(let routes):
      try EnvoyResources.insert(routes, as: routes.name, into: &routeConfigurations, cursor)
    case .cluster(let cluster):
      try EnvoyResources.insert(cluster, as: cluster.name, into: &clusters, cursor)
    case .loadAssignment(let assignment):
      try EnvoyResources.insert(assignment, as: assignment.cluster, into: &loadAssignments, cursor)
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

/// One of the resources, by its `@type`.
enum EnvoyResource: Sendable {
  case listener(Listener)
  case routes(RouteConfiguration)
  case cluster(Cluster)
  case loadAssignment(LoadAssignment)

  /// - Parameter hosts: Decodes the virtual hosts, which are left out at `cursor`.
  init(_ cursor: JSONCursor, hosts: HostTexts? = nil) throws(FieldError) {
    switch try cursor.protobufType() {
    case Listener.fields.message: self = .listener(try Listener(cursor, hosts: hosts))
    case RouteConfiguration.fields.message: self = .routes(try RouteConfiguration(cursor, hosts: hosts))
    case Cluster.fields.message: self = .cluster(try Cluster(cursor))
    case LoadAssignment.fields.message: self = .loadAssignment(try LoadAssignment(cursor))
    case "envoy.extensions.transport_sockets.tls.v3.Secret":
      throw try cursor.required("@type").error("Secrets are not supported yet")
    default:
      throw try cursor.unsupportedType("Listener, RouteConfiguration, Cluster and ClusterLoadAssignment are")
    }
  }
}
