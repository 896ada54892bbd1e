import Addressing
import JSON

/// `discovery.k8s.io/v1` EndpointSlice: some of the backends of a Service, all of one address family.
public struct EndpointSlice: KubernetesObject {
  public static let resource = ResourceType(
    group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice", namespaced: true)

  /// The label that names the Service.
  public static let serviceNameLabel = "kubernetes.io/service-name"
  /// The label that names who writes the slice.
  public static let managedByLabel = "endpointslice.kubernetes.io/managed-by"
  /// The label of the slices of a headless Service.
  public static let headlessLabel = "service.kubernetes.io/headless"

  public let metadata: ObjectMeta
  /// `IPv4`, `IPv6` or `FQDN`; the last has no endpoints here.
  public let addressType: String
  public let endpoints: [Backend]
  public let ports: [BackendPort]
  /// The whole document, with the fields that the typed form does not name.
  public let raw: JSONValue

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    addressType = try cursor.required("addressType").string()
    endpoints = addressType == "FQDN" ? [] : try cursor.list("endpoints", Backend.init(sliceElement:)) ?? []
    ports = try cursor.list("ports", BackendPort.init) ?? []
    raw = cursor.value
  }

  /// The name of the Service, in the same namespace.
  public var serviceName: String? { metadata.labels[Self.serviceNameLabel] }
}

/// `v1` Endpoints: the older form of EndpointSlice.
public struct Endpoints: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "endpoints", kind: "Endpoints", namespaced: true)

  public struct Subset: Hashable, Sendable {
    public let backends: [Backend]
    public let ports: [BackendPort]
  }

  public let metadata: ObjectMeta
  public let subsets: [Subset]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    subsets =
      try cursor.list("subsets") { (subset) throws(FieldError) in
        var backends: [Backend] = []
        for (key, ready) in [("addresses", true), ("notReadyAddresses", false)] {
          for element in try subset.member(key)?.elements() ?? [] {
            backends.append(try Backend(endpointsElement: element, ready: ready))
          }
        }
        return Subset(backends: backends, ports: try subset.list("ports", BackendPort.init) ?? [])
      } ?? []
  }
}

/// Where a Service's traffic can go.
public struct Backend: Hashable, Sendable {
  public let addresses: [IPAddress]
  public let ready: Bool
  public let serving: Bool
  public let terminating: Bool
  public let nodeName: String?
  public let zone: String?
  /// The zones and the nodes whose clients should use it; empty where nothing is said.
  public let zoneHints: [String]
  public let nodeHints: [String]
  /// The Pod behind it, where it is one.
  public let target: ObjectKey?

  init(sliceElement cursor: JSONCursor) throws(FieldError) {
    addresses = try cursor.list("addresses") { (address) throws(FieldError) in try address.address() } ?? []
    let conditions = try cursor.member("conditions")
    // Absent means "unknown", which readers take for true (EndpointConditions).
    ready = try conditions?.member("ready")?.bool() ?? true
    serving = try conditions?.member("serving")?.bool() ?? ready
    terminating = try conditions?.member("terminating")?.bool() ?? false
    nodeName = try cursor.member("nodeName")?.string()
    zone = try cursor.member("zone")?.string()
    let hints = try cursor.member("hints")
    zoneHints = try Backend.hints(hints, "forZones")
    nodeHints = try Backend.hints(hints, "forNodes")
    target = try Backend.target(cursor)
  }

  init(endpointsElement cursor: JSONCursor, ready: Bool) throws(FieldError) {
    addresses = [try cursor.required("ip").address()]
    self.ready = ready
    serving = ready
    terminating = false
    nodeName = try cursor.member("nodeName")?.string()
    zone = nil
    zoneHints = []
    nodeHints = []
    target = try Backend.target(cursor)
  }

  private static func hints(_ hints: JSONCursor?, _ key: String) throws(FieldError) -> [String] {
    try hints?.list(key) { (hint) throws(FieldError) in try hint.required("name").string() } ?? []
  }

  private static func target(_ cursor: JSONCursor) throws(FieldError) -> ObjectKey? {
    guard let reference = try cursor.member("targetRef") else { return nil }
    return ObjectKey(
      kind: try reference.member("kind")?.string() ?? "", namespace: try reference.member("namespace")?.string(),
      name: try reference.member("name")?.string() ?? "")
  }
}

public struct BackendPort: Hashable, Sendable {
  /// Equal to the name of the Service's port; empty where that has none.
  public let name: String
  /// nil means every port.
  public let port: UInt16?
  public let `protocol`: L4Protocol
  public let appProtocol: String?

  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.member("name")?.string() ?? ""
    port = try cursor.member("port")?.integer(in: 1...UInt16.max)
    `protocol` = try cursor.transportProtocol()
    appProtocol = try cursor.member("appProtocol")?.string()
  }
}
