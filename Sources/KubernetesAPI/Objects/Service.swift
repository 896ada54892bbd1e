import Addressing
import JSON
import Labels

/// `v1` Service.
public struct Service: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "services", kind: "Service", namespaced: true)

  /// How a Service is reached.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case clusterIP = "ClusterIP"
    case nodePort = "NodePort"
    case loadBalancer = "LoadBalancer"
    /// A name in the DNS and nothing to balance.
    case externalName = "ExternalName"
  }

  /// Which of the backends traffic may go to.
  public enum TrafficPolicy: String, Hashable, Sendable, CaseIterable {
    case cluster = "Cluster"
    /// Those of the node that the traffic comes to.
    case local = "Local"
  }

  public let metadata: ObjectMeta
  public let type: Kind
  /// nil where someone else writes the endpoints.
  public let selector: LabelSet?
  /// The first is the `clusterIP`; none for a headless Service, and before the server has given any.
  public let clusterIPs: [IPAddress]
  /// `clusterIP: None`: the DNS gives the backends' own addresses.
  public let isHeadless: Bool
  public let ipFamilies: [IPFamily]
  public let externalIPs: [IPAddress]
  public let ports: [ServicePort]
  /// Seconds that a client stays with its backend after its last connection (sessionAffinity ClientIP); nil for none.
  public let affinityTimeout: UInt32?
  /// For traffic from the cluster to the cluster's addresses.
  public let internalTrafficPolicy: TrafficPolicy
  /// For traffic from outside: to node ports, external and load balancer's addresses.
  public let externalTrafficPolicy: TrafficPolicy
  /// Where a node answers load balancers that ask whether it has backends; nil for no such port.
  public let healthCheckNodePort: UInt16?
  /// Backends count as ready whatever their pods say.
  public let publishNotReadyAddresses: Bool
  /// `PreferClose`, `PreferSameZone`, `PreferSameNode`; nil for no preference.
  public let trafficDistribution: String?
  /// Whose load balancer it is; nil for the cluster's own.
  public let loadBalancerClass: String?
  /// Clients that may use the load balancer's addresses; empty for everybody.
  public let loadBalancerSourceRanges: [CIDR]
  /// The addresses that a load balancer has given and that nodes treat as theirs (`ipMode` VIP, the default).
  public let loadBalancerIPs: [IPAddress]
  public let externalName: String?

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    let spec = try cursor.required("spec")
    type = try spec.choice("type") ?? .clusterIP
    selector = try spec.member("selector") == nil ? nil : try spec.stringMap("selector")
    var clusterIPs: [IPAddress] = []
    for address in try spec.member("clusterIPs")?.elements() ?? [] where try address.string() != "None" {
      clusterIPs.append(try address.address())
    }
    if clusterIPs.isEmpty, let address = try spec.address("clusterIP") { clusterIPs = [address] }
    self.clusterIPs = clusterIPs
    let single = try spec.member("clusterIP")?.string()
    let all = try spec.strings("clusterIPs") ?? []
    isHeadless = single == "None" || all == ["None"]
    ipFamilies = try spec.list("ipFamilies") { (family) throws(FieldError) in try family.choice() } ?? []
    externalIPs = try spec.list("externalIPs") { (address) throws(FieldError) in try address.address() } ?? []
    ports = try spec.list("ports", ServicePort.init) ?? []
    affinityTimeout = try Service.affinityTimeout(spec)
    internalTrafficPolicy = try spec.choice("internalTrafficPolicy") ?? .cluster
    externalTrafficPolicy = try spec.choice("externalTrafficPolicy") ?? .cluster
    healthCheckNodePort = try spec.port("healthCheckNodePort")
    publishNotReadyAddresses = try spec.member("publishNotReadyAddresses")?.bool() ?? false
    trafficDistribution = try spec.member("trafficDistribution")?.string()
    loadBalancerClass = try spec.member("loadBalancerClass")?.string()
    loadBalancerSourceRanges = try Service.sourceRanges(spec, metadata)
    loadBalancerIPs = try Service.loadBalancerIPs(cursor)
    externalName = try spec.member("externalName")?.string()
  }

  /// The annotation that says what `trafficDistribution` has no word for: `Auto` asks for hints by zone.
  public static let topologyModeAnnotation = "service.kubernetes.io/topology-mode"
  /// The older form of `loadBalancerSourceRanges`: blocks, separated by commas.
  public static let sourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges"

  private static func affinityTimeout(_ spec: JSONCursor) throws(FieldError) -> UInt32? {
    guard let member = try spec.member("sessionAffinity") else { return nil }
    switch try member.string() {
    case "None": return nil
    case "ClientIP":
      let timeout = try spec.member("sessionAffinityConfig")?.member("clientIP")?.member("timeoutSeconds")
      return try timeout?.integer(in: 1...86_400) ?? 10_800
    case let other: throw member.error("must be None or ClientIP, is \"\(other)\"")
    }
  }

  private static func sourceRanges(_ spec: JSONCursor, _ metadata: ObjectMeta) throws(FieldError) -> [CIDR] {
    func block(_ text: some StringProtocol) -> CIDR? {
      let words = text.split(whereSeparator: \.isWhitespace)
      return words.count == 1 ? CIDR(words[0]) : nil
    }
    let ranges =
      try spec.list("loadBalancerSourceRanges") { (range) throws(FieldError) -> CIDR in
        guard let block = block(try range.string()) else { throw range.error("\"\(try range.string())\" is no CIDR") }
        return block
      } ?? []
    guard ranges.isEmpty, let text = metadata.annotations[sourceRangesAnnotation] else { return ranges }
    var fromAnnotation: [CIDR] = []
    for part in text.split(separator: ",") {
      guard let block = block(part) else {
        throw FieldError(
          path: "metadata.annotations[\(sourceRangesAnnotation)]", message: "\"\(part)\" is no CIDR")
      }
      fromAnnotation.append(block)
    }
    return fromAnnotation
  }

  private static func loadBalancerIPs(_ object: JSONCursor) throws(FieldError) -> [IPAddress] {
    var addresses: [IPAddress] = []
    for entry in try object.member("status")?.member("loadBalancer")?.member("ingress")?.elements() ?? [] {
      // With `Proxy` the load balancer wants to see the traffic of the cluster, too.
      guard try entry.member("ipMode")?.string() != "Proxy", let address = try entry.address("ip") else { continue }
      addresses.append(address)
    }
    return addresses
  }
}

/// One port of a Service.
public struct ServicePort: Hashable, Sendable {
  /// What tells a Service's ports apart; nil only where there is just one.
  public let name: String?
  public let port: UInt16
  /// The port of the backends; the same as `port` where the object names none.
  public let targetPort: PortProtocol.Port
  /// The port on every node's own addresses; nil for none.
  public let nodePort: UInt16?
  public let `protocol`: L4Protocol
  /// A hint for what speaks on it: `kubernetes.io/h2c`, `https`.
  public let appProtocol: String?

  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.member("name")?.string()
    port = try cursor.required("port").integer(in: 1...UInt16.max)
    targetPort = try cursor.targetPort() ?? .number(port)
    nodePort = try cursor.port("nodePort")
    `protocol` = try cursor.transportProtocol()
    appProtocol = try cursor.member("appProtocol")?.string()
  }
}

/// The family of an address, in the words of the API.
public enum IPFamily: String, Hashable, Sendable, CaseIterable, Comparable {
  case ipv4 = "IPv4"
  case ipv6 = "IPv6"

  public init(of address: IPAddress) { self = address.isIPv4 ? .ipv4 : .ipv6 }

  public static func < (left: IPFamily, right: IPFamily) -> Bool { left.rawValue < right.rawValue }
}

extension JSONCursor {
  /// `targetPort`: a number or a name; 0 and an empty name say nothing.
  fileprivate func targetPort() throws(FieldError) -> PortProtocol.Port? {
    guard let member = try member("targetPort"), member.value.integerValue != 0, member.value.stringValue != "" else {
      return nil
    }
    return try member.portOrName()
  }

  /// The port at `key`; nil when it is absent or 0.
  fileprivate func port(_ key: String) throws(FieldError) -> UInt16? {
    guard let port: UInt16 = try member(key)?.integer(in: 0...UInt16.max), port != 0 else { return nil }
    return port
  }

  /// One of the words that `Choice` knows.
  fileprivate func choice<Choice: RawRepresentable & CaseIterable>() throws(FieldError) -> Choice
  where Choice.RawValue == String {
    let text = try string()
    guard let choice = Choice(rawValue: text) else {
      throw error("must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", ")), is \"\(text)\"")
    }
    return choice
  }

  /// The same at `key`; nil when it is absent or empty.
  fileprivate func choice<Choice: RawRepresentable & CaseIterable>(_ key: String) throws(FieldError) -> Choice?
  where Choice.RawValue == String {
    guard let member = try member(key), member.value.stringValue != "" else { return nil }
    return try member.choice()
  }

  /// Kubernetes' IntOrString, for a port: 1 to 65535, or a name.
  func portOrName() throws(FieldError) -> PortProtocol.Port {
    if let name = value.stringValue { return .name(name) }
    return .number(try integer(in: 1...UInt16.max))
  }
}
