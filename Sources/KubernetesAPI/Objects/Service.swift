import Addressing
import JSON
import Labels

/// `v1` Service.
public struct Service: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "services", kind: "Service", namespaced: true)

  public let metadata: ObjectMeta
  /// `ClusterIP` (the default), `NodePort`, `LoadBalancer`, `ExternalName`.
  public let type: String
  /// nil where someone else writes the endpoints.
  public let selector: LabelSet?
  /// None for a headless Service.
  public let clusterIPs: [IPAddress]
  public let externalIPs: [IPAddress]
  public let ports: [ServicePort]
  /// `ClientIP`, or `None`.
  public let sessionAffinity: String
  public let raw: JSONValue

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    let spec = try cursor.required("spec")
    type = try spec.member("type")?.string() ?? "ClusterIP"
    selector = try spec.member("selector") == nil ? nil : try spec.stringMap("selector")
    var clusterIPs: [IPAddress] = []
    for address in try spec.member("clusterIPs")?.elements() ?? [] where try address.string() != "None" {
      clusterIPs.append(try address.address())
    }
    if clusterIPs.isEmpty, let address = try spec.address("clusterIP") { clusterIPs = [address] }
    self.clusterIPs = clusterIPs
    externalIPs = try spec.list("externalIPs") { (address) throws(FieldError) in try address.address() } ?? []
    ports = try spec.list("ports", ServicePort.init) ?? []
    sessionAffinity = try spec.member("sessionAffinity")?.string() ?? "None"
    raw = cursor.value
  }
}

public struct ServicePort: Hashable, Sendable {
  public let name: String?
  public let port: UInt16
  /// The port of the backends; the same as `port` where the object names none.
  public let targetPort: PortProtocol.Port
  public let nodePort: UInt16?
  public let `protocol`: L4Protocol

  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.member("name")?.string()
    port = try cursor.required("port").integer(in: 1...UInt16.max)
    targetPort = try cursor.member("targetPort")?.portOrName() ?? .number(port)
    nodePort = try cursor.member("nodePort")?.integer(in: 0...UInt16.max)
    `protocol` = try cursor.transportProtocol()
  }
}

extension JSONCursor {
  /// Kubernetes' IntOrString, for a port: 1 to 65535, or a name.
  func portOrName() throws(FieldError) -> PortProtocol.Port {
    if let name = value.stringValue { return .name(name) }
    return .number(try integer(in: 1...UInt16.max))
  }
}
