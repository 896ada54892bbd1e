/// The Services of the suites, and hand-written EndpointSlices.
enum ServiceManifests {
  /// Named target ports, of which the pods have other numbers; a number that TCP and UDP share; every kind of address.
  static let web = """
    apiVersion: v1
    kind: Service
    metadata: {name: web}
    spec:
      type: NodePort
      ipFamilyPolicy: RequireDualStack
      externalIPs: ["198.51.100.7", "2001:db8:ffff::7"]
      selector: {app: web}
      ports:
        - {name: http, port: 80, targetPort: http, nodePort: 30080}
        - {name: admin, port: 81, targetPort: 9000, nodePort: 30081}
        - {name: dns, port: 53, protocol: UDP, targetPort: dns, nodePort: 30053}
        - {name: dns-tcp, port: 53, protocol: TCP, targetPort: dns-tcp, nodePort: 30053}
    """

  static let others = """
    apiVersion: v1
    kind: Service
    metadata: {name: headless}
    spec:
      ipFamilyPolicy: RequireDualStack
      clusterIP: None
      selector: {app: web}
      ports: [{port: 80, targetPort: http}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: elsewhere}
    spec: {type: ExternalName, externalName: www.example.com}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: sticky}
    spec:
      ipFamilyPolicy: RequireDualStack
      sessionAffinity: ClientIP
      sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}
      selector: {app: web}
      ports:
        - {name: dns, port: 53, protocol: UDP, targetPort: dns}
        - {name: p1, port: 8001, targetPort: http}
        - {name: p2, port: 8002, targetPort: http}
        - {name: p3, port: 8003, targetPort: http}
        - {name: p4, port: 8004, targetPort: http}
        - {name: p5, port: 8005, targetPort: http}
        - {name: p6, port: 8006, targetPort: http}
        - {name: p7, port: 8007, targetPort: http}
        - {name: p8, port: 8008, targetPort: http}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: hashed, annotations: {service.martlet.io/lb-algorithm: maglev}}
    spec:
      ipFamilyPolicy: RequireDualStack
      selector: {app: web}
      ports: [{name: http, port: 80, targetPort: http}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: empty}
    spec:
      ipFamilyPolicy: RequireDualStack
      selector: {app: nobody}
      ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]
    """

  /// A port of TCP and one of UDP, whose endpoints somebody else writes.
  static func withoutSelector(_ name: String, _ more: String = "") -> String {
    """
    apiVersion: v1
    kind: Service
    metadata: {name: \(name)}
    spec:
      ipFamilyPolicy: RequireDualStack
      \(more)
      ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]
    """
  }

  /// In both families; the ports are YAML.
  static func dualStack(_ name: String, selector: String, _ ports: [String]) -> String {
    """
    apiVersion: v1
    kind: Service
    metadata: {name: \(name)}
    spec:
      ipFamilyPolicy: RequireDualStack
      selector: {\(selector)}
      ports: [\(ports.map { "{\($0)}" }.joined(separator: ", "))]
    """
  }

  /// An endpoint's address, and what else an EndpointSlice says of it.
  struct Endpoint {
    let address: String
    var node: String?
    var conditions = "{ready: true}"

    var text: String {
      "{addresses: [\"\(address)\"], conditions: \(conditions)" + (node.map { ", nodeName: \($0)" } ?? "") + "}"
    }
  }

  static func slice(
    _ name: String, of service: String, _ family: Family, port: Int, annotations: String = "{}", _ endpoints: [Endpoint]
  ) -> String {
    """
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata:
      name: \(name)-\(family)
      labels: {kubernetes.io/service-name: \(service)}
      annotations: \(annotations)
    addressType: \(family == .ipv4 ? "IPv4" : "IPv6")
    ports: [{name: http, port: \(port)}, {name: dns, port: \(port), protocol: UDP}]
    endpoints: [\(endpoints.map(\.text).joined(separator: ", "))]
    """
  }

  static func documents(_ documents: [String]) -> String { documents.joined(separator: "\n---\n") }
}
