import JSON
import Labels

/// Either kind of configuration.
public protocol EnvoyConfigObject: KubernetesObject {
  var spec: EnvoyConfigSpec { get }
  /// The whole document.
  var raw: JSONValue { get }
}

/// `cilium.io/v2` CiliumEnvoyConfig: what the proxy does with requests to services of one namespace.
public struct CiliumEnvoyConfig: EnvoyConfigObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumenvoyconfigs", kind: "CiliumEnvoyConfig", namespaced: true)

  public let metadata: ObjectMeta
  public let spec: EnvoyConfigSpec
  public let raw: JSONValue

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    try cursor.allowOnly(["apiVersion", "kind", "metadata", "spec", "status"])
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    spec = try EnvoyConfigSpec(try cursor.required("spec"), namespace: metadata.namespace)
    raw = cursor.value
  }
}

/// `cilium.io/v2` CiliumClusterwideEnvoyConfig: what the proxy does with requests to services of any namespace.
public struct CiliumClusterwideEnvoyConfig: EnvoyConfigObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumclusterwideenvoyconfigs", kind: "CiliumClusterwideEnvoyConfig",
    namespaced: false)

  public let metadata: ObjectMeta
  public let spec: EnvoyConfigSpec
  public let raw: JSONValue

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    try cursor.allowOnly(["apiVersion", "kind", "metadata", "spec", "status"])
    metadata = try ObjectMeta(of: cursor, namespaced: false)
    spec = try EnvoyConfigSpec(try cursor.required("spec"), namespace: nil)
    raw = cursor.value
  }
}

/// The `spec` of both kinds. The resources are Envoy's own messages, which `Routing` reads.
public struct EnvoyConfigSpec: Hashable, Sendable {
  /// A service whose traffic goes to a listener.
  public struct RedirectedService: Hashable, Sendable {
    public let namespace: String
    public let name: String
    /// The service's ports; empty for all of them.
    public let ports: [UInt16]
    /// The listener among the resources; nil for the first one.
    public let listener: String?
    public let path: String
  }

  /// A service whose endpoints the listeners' routes may name.
  public struct BackendService: Hashable, Sendable {
    public let namespace: String
    public let name: String
    /// Numbers or names of its ports; empty for all of them.
    public let ports: [PortProtocol.Port]
    public let path: String
  }

  public let services: [RedirectedService]
  public let backendServices: [BackendService]
  /// The nodes that use the configuration; all where nothing is written.
  public let nodeSelector: LabelSelector
  /// The array of messages, each with its `@type`.
  public let resources: RawField

  init(_ cursor: JSONCursor, namespace: String?) throws(FieldError) {
    try cursor.allowOnly(["services", "backendServices", "nodeSelector", "resources"])
    services =
      try cursor.list("services") { (service) throws(FieldError) in
        try service.allowOnly(["name", "namespace", "ports", "listener"])
        let listener = try service.member("listener")?.string()
        return RedirectedService(
          namespace: try service.serviceNamespace(namespace), name: try service.serviceName(),
          ports: try service.list("ports") { (port) throws(FieldError) in try port.integer(in: 1...UInt16.max) } ?? [],
          listener: listener == "" ? nil : listener, path: service.path)
      } ?? []
    backendServices =
      try cursor.list("backendServices") { (service) throws(FieldError) in
        try service.allowOnly(["name", "namespace", "number"])
        return BackendService(
          namespace: try service.serviceNamespace(namespace), name: try service.serviceName(),
          ports: try service.list("number") { (port) throws(FieldError) in try port.numberedPort() } ?? [],
          path: service.path)
      } ?? []
    nodeSelector = try cursor.member("nodeSelector")?.labelSelector() ?? .everything
    let resources = try cursor.required("resources")
    _ = try resources.elements()
    self.resources = RawField(resources)
  }
}

extension JSONCursor {
  fileprivate func serviceName() throws(FieldError) -> String {
    let name = try required("name")
    guard try !name.string().isEmpty else { throw name.error("service name missing") }
    return try name.string()
  }

  /// The service's namespace, which for a namespaced object can only be its own.
  fileprivate func serviceNamespace(_ own: String?) throws(FieldError) -> String {
    let written = try member("namespace")
    let name = try written?.string() ?? ""
    if name.isEmpty { return own ?? "default" }
    if let own, name != own { throw (written ?? self).error("must be the object's own namespace, \(own)") }
    return name
  }

  /// A port as text: `8080`, or its name.
  fileprivate func numberedPort() throws(FieldError) -> PortProtocol.Port {
    let text = try string()
    guard !text.isEmpty else { throw error("port missing") }
    guard text.utf8.allSatisfy({ 48...57 ~= $0 }) else { return .name(text) }
    guard let number = UInt16(text), number > 0 else { throw error("must be from 1 to 65535, is \(text)") }
    return .number(number)
  }

  fileprivate func labelSelector() throws(FieldError) -> LabelSelector {
    try allowOnly(["matchLabels", "matchExpressions"])
    var requirements: [LabelRequirement] = []
    for (key, value) in try member("matchLabels")?.members() ?? [] {
      requirements.append(LabelRequirement(key: key, operation: .in([try value.string()])))
    }
    requirements +=
      try list("matchExpressions") { (expression) throws(FieldError) in
        let requirement = try EndpointSelector.Requirement(expression: expression)
        return LabelRequirement(key: try expression.required("key").string(), operation: requirement.operation)
      } ?? []
    return LabelSelector(requirements)
  }
}
