import JSON

/// A Service as it is written, with the questions that the rules of Services ask of it. Tolerates any value in any place:
/// the schema's check says what is wrong with those.
struct ServiceDocument {
  var value: JSONValue

  init(_ value: JSONValue) { self.value = value }

  /// A field of `spec`.
  subscript(field: String) -> JSONValue? {
    get { value["spec"]?[field] }
    set { value.set(["spec", field], to: newValue) }
  }

  func text(_ field: String) -> String { self[field]?.stringValue ?? "" }

  var name: String { value["metadata"]?["name"]?.stringValue ?? "" }
  var type: String { self["type"]?.stringValue ?? "ClusterIP" }
  var clusterIP: String { text("clusterIP") }
  /// As they stand there: `None` for a headless Service.
  var clusterIPs: [String] {
    get { strings("clusterIPs") }
    set { self["clusterIPs"] = newValue.nonEmpty.map { .array($0.map(JSONValue.string)) } }
  }
  var ipFamilies: [String] {
    get { strings("ipFamilies") }
    set { self["ipFamilies"] = newValue.nonEmpty.map { .array($0.map(JSONValue.string)) } }
  }
  /// nil where nothing is said, which means SingleStack.
  var ipFamilyPolicy: String? { self["ipFamilyPolicy"]?.stringValue }
  var wantsOneFamily: Bool { (ipFamilyPolicy ?? "SingleStack") == "SingleStack" }
  var hasSelector: Bool { self["selector"]?.objectValue?.isEmpty == false }
  var ports: [JSONValue] {
    get { self["ports"]?.arrayValue ?? [] }
    set { self["ports"] = .array(newValue) }
  }

  var isHeadless: Bool { clusterIP == "None" || clusterIPs.first == "None" }
  var needsClusterIP: Bool { type != "ExternalName" }
  var isLoadBalancer: Bool { type == "LoadBalancer" }
  var canHaveNodePorts: Bool { type == "NodePort" || isLoadBalancer }
  var getsNodePorts: Bool {
    type == "NodePort" || isLoadBalancer && self["allocateLoadBalancerNodePorts"]?.boolValue != false
  }
  var isReachedFromOutside: Bool {
    canHaveNodePorts || type == "ClusterIP" && self["externalIPs"]?.arrayValue?.isEmpty == false
  }
  var needsHealthCheckPort: Bool { isLoadBalancer && text("externalTrafficPolicy") == "Local" }

  var healthCheckPort: UInt16? { ServiceDocument.port(self["healthCheckNodePort"]) }
  /// Every node port of the Service, that of the health check included; as many times as they are written.
  var nodePorts: [UInt16] {
    ports.compactMap { ServiceDocument.port($0["nodePort"]) } + (healthCheckPort.map { [$0] } ?? [])
  }

  var loadBalancerIPs: [String] {
    (value["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
  }

  /// nil for an absent number, 0, and anything that is no port.
  static func port(_ value: JSONValue?) -> UInt16? {
    guard let number = value?.integerValue.flatMap(UInt16.init(exactly:)), number != 0 else { return nil }
    return number
  }

  private func strings(_ field: String) -> [String] {
    self[field]?.arrayValue?.compactMap(\.stringValue) ?? []
  }
}
