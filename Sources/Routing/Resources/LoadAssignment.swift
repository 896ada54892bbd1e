public import Addressing
import JSON

/// `envoy.config.endpoint.v3.ClusterLoadAssignment`: endpoints that are written down.
public struct LoadAssignment: Hashable, Sendable {
  public struct Endpoint: Hashable, Sendable {
    public let address: IPAddress
    public let port: UInt16
    /// The name that `auto_host_rewrite` puts into requests; empty for none.
    public let hostname: String
    public let weight: UInt32
    /// Endpoints of a higher number serve while those of lower ones do not.
    public let priority: UInt32
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
    "envoy.config.endpoint.v3.LbEndpoint", read: ["endpoint", "load_balancing_weight"], withoutEffect: ["metadata"],
    refused: ["endpoint_name", "health_status"])
  static let endpointFields = MessageFields(
    "envoy.config.endpoint.v3.Endpoint", read: ["address", "hostname"], withoutEffect: ["observability_name"],
    refused: ["health_check_config", "additional_addresses"])
  static let addressFields = MessageFields(
    "envoy.config.core.v3.Address", read: ["socket_address"], refused: ["pipe", "envoy_internal_address"])
  static let socketAddressFields = MessageFields(
    "envoy.config.core.v3.SocketAddress", read: ["protocol", "address", "port_value"],
    refused: ["named_port", "resolver_name", "ipv4_compat", "network_namespace_filepath"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    cluster = try message.name("cluster_name")
    var endpoints: [Endpoint] = []
    for element in try message.member("endpoints")?.elements() ?? [] {
      let locality = try Message(element, Self.localityFields)
      let priority: UInt32 = try locality.member("priority")?.protobufInteger(in: 0...128) ?? 0
      endpoints += try locality.list("lb_endpoints") { (cursor) throws(FieldError) in
        try LoadAssignment.endpoint(cursor, priority)
      }
    }
    self.endpoints = endpoints
  }

  private static func endpoint(_ cursor: JSONCursor, _ priority: UInt32) throws(FieldError) -> Endpoint {
    let message = try Message(cursor, lbEndpointFields)
    let endpoint = try Message(try message.required("endpoint"), endpointFields)
    let address = try Message(try endpoint.required("address"), addressFields)
    let socket = try Message(try address.required("socket_address"), socketAddressFields)
    guard try socket.member("protocol")?.protobufEnum(["TCP", "UDP"]) != "UDP" else {
      throw try socket.required("protocol").error("UDP is not supported")
    }
    guard let ip = IPAddress(try socket.name("address")) else {
      throw try socket.required("address").error("must be an IP address: names are not resolved")
    }
    return Endpoint(
      address: ip, port: try socket.required("port_value").protobufInteger(),
      hostname: try endpoint.member("hostname")?.authority() ?? "",
      weight: try message.member("load_balancing_weight")?.protobufInteger(in: 1...UInt32.max) ?? 1,
      priority: priority)
  }
}
