public import Addressing
import JSON

/// `envoy.config.endpoint.v3.ClusterLoadAssignment`: endpoints that are written down.
public struct LoadAssignment: Hashable, Sendable {
  /// Where an endpoint is.
  public enum Host: Hashable, Sendable {
    case address(IPAddress)
    /// To be resolved.
    case name(String)
  }

  /// `envoy.config.core.v3.HealthStatus`: what is known of an endpoint without asking it.
  public enum HealthStatus: String, Hashable, Sendable, CaseIterable {
    case unknown = "UNKNOWN"
    case healthy = "HEALTHY"
    case unhealthy = "UNHEALTHY"
    case draining = "DRAINING"
    case timeout = "TIMEOUT"
    case degraded = "DEGRADED"
  }

  /// `envoy.config.endpoint.v3.Endpoint.HealthCheckConfig`: how an endpoint's checks differ from those of its cluster.
  public struct CheckTarget: Hashable, Sendable {
    /// nil for the one that requests go to.
    public let address: IPAddress?
    /// nil for the one that requests go to.
    public let port: UInt16?
    /// For the checks' requests; empty for what the check says.
    public let hostname: String
    /// The endpoint is not checked, and taken for healthy.
    public let isDisabled: Bool

    public static let same = CheckTarget(address: nil, port: nil, hostname: "", isDisabled: false)
  }

  public struct Endpoint: Hashable, Sendable {
    public let host: Host
    public let port: UInt16
    /// The name that `auto_host_rewrite` puts into requests; empty for none.
    public let hostname: String
    public let weight: UInt32
    /// Endpoints of a higher number serve while those of lower ones do not.
    public let priority: UInt32
    public let status: HealthStatus
    public let check: CheckTarget
  }

  public let cluster: String
  public let endpoints: [Endpoint]

  static let fields = MessageFields(
    "envoy.config.endpoint.v3.ClusterLoadAssignment", read: ["cluster_name", "endpoints"],
    refused: ["named_endpoints", "policy"])
  static let localityFields = MessageFields(
    "envoy.config.endpoint.v3.LocalityLbEndpoints", read: ["lb_endpoints", "priority"],
    // Localities are told apart only by policies that are refused.
    withoutEffect: ["locality", "metadata", "load_balancing_weight", "proximity"],
    refused: ["load_balancer_endpoints", "leds_cluster_locality_config"])
  static let lbEndpointFields = MessageFields(
    "envoy.config.endpoint.v3.LbEndpoint", read: ["endpoint", "load_balancing_weight", "health_status"],
    withoutEffect: ["metadata"], refused: ["endpoint_name"])
  static let endpointFields = MessageFields(
    "envoy.config.endpoint.v3.Endpoint", read: ["address", "hostname", "health_check_config"],
    withoutEffect: ["observability_name"], refused: ["additional_addresses"])
  static let checkFields = MessageFields(
    "envoy.config.endpoint.v3.Endpoint.HealthCheckConfig",
    read: ["port_value", "hostname", "address", "disable_active_health_check"])
  static let addressFields = MessageFields(
    "envoy.config.core.v3.Address", read: ["socket_address"], refused: ["pipe", "envoy_internal_address"])
  static let socketAddressFields = MessageFields(
    "envoy.config.core.v3.SocketAddress", read: ["protocol", "address", "port_value"],
    refused: ["named_port", "resolver_name", "ipv4_compat", "network_namespace_filepath"])

  init(_ cursor: JSONCursor) throws(FieldError) { try self.init(cursor, resolvesNames: false) }

  /// - Parameter resolvesNames: Of a cluster whose endpoints may have names for addresses.
  init(_ cursor: JSONCursor, resolvesNames: Bool) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    cluster = try message.name("cluster_name")
    var endpoints: [Endpoint] = []
    for element in try message.member("endpoints")?.elements() ?? [] {
      let locality = try Message(element, Self.localityFields)
      let priority: UInt32 = try locality.member("priority")?.protobufInteger(in: 0...128) ?? 0
      endpoints += try locality.list("lb_endpoints") { (cursor) throws(FieldError) in
        try LoadAssignment.endpoint(cursor, priority, resolvesNames)
      }
    }
    self.endpoints = endpoints
  }

  private static func endpoint(
    _ cursor: JSONCursor, _ priority: UInt32, _ resolvesNames: Bool
  ) throws(FieldError) -> Endpoint {
    let message = try Message(cursor, lbEndpointFields)
    let endpoint = try Message(try message.required("endpoint"), endpointFields)
    let socket = try socketAddress(try endpoint.required("address"))
    let status = try message.member("health_status")?.protobufEnum(HealthStatus.allCases.map(\.rawValue))
    return Endpoint(
      host: try host(socket, resolvesNames), port: try socket.required("port_value").protobufInteger(),
      hostname: try endpoint.member("hostname")?.authority() ?? "",
      weight: try message.member("load_balancing_weight")?.protobufInteger(in: 1...UInt32.max) ?? 1,
      priority: priority, status: status.flatMap(HealthStatus.init) ?? .unknown,
      check: try endpoint.map("health_check_config", checkTarget) ?? .same)
  }

  private static func checkTarget(_ cursor: JSONCursor) throws(FieldError) -> CheckTarget {
    let message = try Message(cursor, checkFields)
    var address: IPAddress?
    var port: UInt16 = try message.member("port_value")?.protobufInteger() ?? 0
    if let member = message.member("address") {
      let socket = try socketAddress(member)
      guard case .address(let ip) = try host(socket, false) else { throw member.error("must be an IP address") }
      address = ip
      // One of its own goes before.
      if port == 0 { port = try socket.member("port_value")?.protobufInteger() ?? 0 }
    }
    return CheckTarget(
      address: address, port: port == 0 ? nil : port, hostname: try message.member("hostname")?.authority() ?? "",
      isDisabled: try message.bool("disable_active_health_check"))
  }

  private static func socketAddress(_ cursor: JSONCursor) throws(FieldError) -> Message {
    let address = try Message(cursor, addressFields)
    let socket = try Message(try address.required("socket_address"), socketAddressFields)
    guard try socket.member("protocol")?.protobufEnum(["TCP", "UDP"]) != "UDP" else {
      throw try socket.required("protocol").error("UDP is not supported")
    }
    return socket
  }

  private static func host(_ socket: Message, _ resolvesNames: Bool) throws(FieldError) -> Host {
    let text = try socket.name("address")
    if let ip = IPAddress(text) { return .address(ip) }
    guard resolvesNames else {
      throw try socket.required("address").error("must be an IP address: only STRICT_DNS and LOGICAL_DNS resolve names")
    }
    guard text.utf8.count <= 253, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
      throw try socket.required("address").error("is no name")
    }
    return .name(text)
  }
}
