import JSON

/// `envoy.config.cluster.v3.Cluster`: where requests go to, and how an endpoint is chosen.
public struct Cluster: Hashable, Sendable {
  public enum Discovery: String, Hashable, Sendable {
    case fixed = "STATIC"
    /// The endpoints of a service, or of a ClusterLoadAssignment among the resources.
    case eds = "EDS"
    /// Each address of each name is an endpoint.
    case strictDNS = "STRICT_DNS"
    /// The first address of the one name is the endpoint.
    case logicalDNS = "LOGICAL_DNS"

    public var resolvesNames: Bool { self == .strictDNS || self == .logicalDNS }
  }

  public enum Balancing: Hashable, Sendable {
    case roundRobin
    /// Of some endpoints that are chosen at random, the one with the fewest requests.
    case leastRequest(choices: UInt32)
    case random
    case ringHash(minimum: UInt64, maximum: UInt64)
    /// A prime number of entries.
    case maglev(entries: UInt64)
  }

  public let name: String
  public let discovery: Discovery
  /// What EDS asks for: `namespace/service:port`; the cluster's own name where nothing else is written.
  public let serviceName: String
  public let connectTimeout: Duration
  public let balancing: Balancing
  public let breakers: CircuitBreakers
  public let version: Version
  public let common: CommonBalancing
  /// nil where nothing is taken out for what became of its requests.
  public let outlierDetection: OutlierDetection?
  /// nil where endpoints are not asked.
  public let healthCheck: HealthCheck?
  /// For clusters whose discovery ``Discovery/resolvesNames``.
  public let resolution: NameResolution
  /// Of all but EDS.
  public let loadAssignment: LoadAssignment?
  let path: String

  static let fields = MessageFields(
    "envoy.config.cluster.v3.Cluster",
    read: [
      "name", "type", "eds_cluster_config", "connect_timeout", "lb_policy", "load_assignment", "ring_hash_lb_config",
      "maglev_lb_config", "least_request_lb_config", "round_robin_lb_config",
      "circuit_breakers", "outlier_detection", "health_checks", "common_lb_config", "dns_refresh_rate", "dns_jitter",
      "dns_failure_refresh_rate", "dns_lookup_family", "http2_protocol_options", "typed_extension_protocol_options",
    ],
    withoutEffect: [
      "alt_stat_name", "stats_matcher", "metadata", "per_connection_buffer_limit_bytes", "wait_for_warm_on_init",
      "track_timeout_budgets", "track_cluster_stats", "cleanup_interval",
    ],
    refused: [
      "transport_socket_matches", "transport_socket_matcher", "cluster_type",
      "per_connection_buffer_high_watermark_timeout", "max_requests_per_connection",
      "upstream_http_protocol_options", "common_http_protocol_options", "http_protocol_options",
      "respect_dns_ttl", "dns_resolvers", "use_tcp_for_dns_lookups",
      "dns_resolution_config", "typed_dns_resolver_config", "upstream_bind_config",
      "lb_subset_config", "original_dst_lb_config", "transport_socket", "protocol_selection",
      "upstream_connection_options", "close_connections_on_host_health_failure", "ignore_health_on_host_removal",
      "filters", "load_balancing_policy", "lrs_server", "lrs_report_endpoint_metrics", "upstream_config",
      "preconnect_policy", "connection_pool_per_downstream_connection", "queuing_policies",
    ])
  static let edsFields = MessageFields(
    "envoy.config.cluster.v3.Cluster.EdsClusterConfig", read: ["service_name"],
    // Endpoints come from the cluster's EndpointSlices, wherever they are said to come from.
    withoutEffect: ["eds_config"])
  static let ringFields = MessageFields(
    "envoy.config.cluster.v3.Cluster.RingHashLbConfig",
    read: ["minimum_ring_size", "maximum_ring_size", "hash_function"])
  static let maglevFields = MessageFields("envoy.config.cluster.v3.Cluster.MaglevLbConfig", read: ["table_size"])
  static let leastFields = MessageFields(
    "envoy.config.cluster.v3.Cluster.LeastRequestLbConfig", read: ["choice_count"],
    refused: ["active_request_bias", "slow_start_config"])
  static let roundRobinFields = MessageFields(
    "envoy.config.cluster.v3.Cluster.RoundRobinLbConfig", read: [], refused: ["slow_start_config"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    name = try message.name("name")
    path = cursor.path
    let type = try message.member("type")?.protobufEnum(["STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS", "ORIGINAL_DST"])
    guard let discovery = Discovery(rawValue: type ?? "STATIC") else {
      throw try message.required("type").error(
        "\(type ?? "") is not supported; STATIC, EDS, STRICT_DNS and LOGICAL_DNS are")
    }
    self.discovery = discovery
    let eds = try message.map("eds_cluster_config") { (cursor) throws(FieldError) in
      try Message(cursor, Self.edsFields).string("service_name")
    }
    guard eds == nil || discovery == .eds else {
      throw try message.required("eds_cluster_config").error("is only for clusters of type EDS")
    }
    serviceName = eds.flatMap { $0.isEmpty ? nil : $0 } ?? name
    connectTimeout = try message.member("connect_timeout")?.protobufTimeout() ?? .seconds(5)
    guard connectTimeout > .zero else { throw try message.required("connect_timeout").error("must be more than 0s") }
    balancing = try Cluster.balancing(message)
    version = try Cluster.version(message)
    breakers = try message.map("circuit_breakers", CircuitBreakers.init) ?? .standard
    common = try message.map("common_lb_config", CommonBalancing.init) ?? .standard
    outlierDetection = try message.map("outlier_detection", OutlierDetection.init)
    let checks = try message.list("health_checks", HealthCheck.init)
    guard checks.count < 2 else { throw try message.required("health_checks").error("can not be more than one") }
    healthCheck = checks.first
    if case .http(let check)? = healthCheck?.probe, check.host.isEmpty { _ = try message.required("name").authority() }
    resolution = try NameResolution(message, discovery)
    loadAssignment = try message.map("load_assignment") { (cursor) throws(FieldError) in
      try LoadAssignment(cursor, resolvesNames: discovery.resolvesNames)
    }
    if discovery == .logicalDNS, loadAssignment?.endpoints.count != 1 {
      throw try message.required("load_assignment").error("must have one endpoint for a cluster of type LOGICAL_DNS")
    }
    if discovery == .eds, loadAssignment != nil {
      throw try message.required("load_assignment").error("can not be set for a cluster of type EDS")
    }
  }

  private static func balancing(_ message: Message) throws(FieldError) -> Balancing {
    let names = ["ROUND_ROBIN", "LEAST_REQUEST", "RING_HASH", "RANDOM", "", "MAGLEV"]
    let policy = try message.member("lb_policy")?.protobufEnum(names) ?? "ROUND_ROBIN"
    let configured = try message.choice(
      "ring_hash_lb_config", "maglev_lb_config", "least_request_lb_config", "round_robin_lb_config")
    let expected = "\(policy.lowercased())_lb_config"
    if let configured, configured.name != expected {
      throw configured.cursor.error("is not for the lb_policy \(policy)")
    }
    // Without a configuration of its own, that of an empty one.
    let settings = configured?.cursor ?? JSONCursor([:], path: "\(message.cursor.path).\(expected)")
    switch policy {
    case "LEAST_REQUEST":
      let message = try Message(settings, leastFields)
      let choices = try message.member("choice_count")?.protobufInteger(in: 2...UInt32.max) ?? 2
      return .leastRequest(choices: choices)
    case "RANDOM": return .random
    case "RING_HASH":
      let message = try Message(settings, ringFields)
      if let function = message.member("hash_function"),
        try function.protobufEnum(["XX_HASH", "MURMUR_HASH_2"]) != "XX_HASH"
      {
        throw function.error("MURMUR_HASH_2 is not supported; XX_HASH is")
      }
      let limit: UInt64 = 8 << 20
      let minimum: UInt64 = try message.member("minimum_ring_size")?.protobufInteger(in: 0...limit) ?? 1024
      let maximum: UInt64 = try message.member("maximum_ring_size")?.protobufInteger(in: 0...limit) ?? limit
      guard minimum <= maximum else { throw settings.error("minimum_ring_size is more than maximum_ring_size") }
      return .ringHash(minimum: minimum, maximum: maximum)
    case "MAGLEV":
      let message = try Message(settings, maglevFields)
      let size: UInt64 = try message.member("table_size")?.protobufInteger(in: 2...5_000_011) ?? 65537
      guard size.isPrime else { throw try message.required("table_size").error("must be a prime number") }
      return .maglev(entries: size)
    default:
      _ = try Message(settings, roundRobinFields)
      return .roundRobin
    }
  }
}

extension UInt64 {
  fileprivate var isPrime: Bool {
    guard self > 3 else { return self > 1 }
    var divisor: UInt64 = 2
    while divisor * divisor <= self {
      if isMultiple(of: divisor) { return false }
      divisor += 1
    }
    return true
  }
}
