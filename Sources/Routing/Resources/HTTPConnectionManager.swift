import JSON

/// `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`: how a listener reads HTTP, and which
/// routes it follows.
public struct HTTPConnectionManager: Hashable, Sendable {
  public enum Routes: Hashable, Sendable {
    case inline(RouteConfiguration)
    /// A RouteConfiguration among the resources.
    case named(Reference)
  }

  public struct Reference: Hashable, Sendable {
    public let name: String
    public let path: String
  }

  public let routes: Routes
  /// Those before the router, in their order.
  public let filters: [HTTPFilter]
  public let router: HTTPRouter
  /// Whether clients may speak HTTP/2 (`codec_type`).
  public let takesHTTP2: Bool
  /// Protocols that a connection may change to, in lower case: `websocket`.
  public let upgrades: [String]
  /// Zero for no limit.
  public let streamIdleTimeout: Duration
  /// Until the request has been read; zero for no limit.
  public let requestTimeout: Duration
  /// Until the request's headers have been read; zero for no limit.
  public let requestHeadersTimeout: Duration
  /// nil for an hour, zero for no limit.
  public let idleTimeout: Duration?
  public let accessLoggers: [AccessLogger]
  /// nil: as the node wants it.
  public let tracing: TracingConfig?

  static let fields = MessageFields(
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    read: [
      "codec_type", "rds", "route_config", "http_filters", "common_http_protocol_options", "stream_idle_timeout",
      "request_timeout", "request_headers_timeout", "upgrade_configs", "access_log", "tracing",
    ],
    withoutEffect: [
      // Statistics and their names.
      "stat_prefix", "record_route_resolution_stats",
      // The proxy tells servers the client's address by connecting from it, and believes no header about it.
      "use_remote_address", "skip_xff_append", "xff_num_trusted_hops",
      "represent_ipv4_remote_address_as_ipv4_mapped_ipv6",
      // It adds no x-request-id, and lets the client's pass.
      "generate_request_id", "preserve_external_request_id",
      // How long connections are drained is the proxy's own affair.
      "drain_timeout", "delayed_close_timeout", "internal_address_config",
    ],
    refused: [
      "scoped_routes", "add_user_agent", "http1_safe_max_connection_duration", "http_protocol_options",
      "http2_protocol_options", "http3_protocol_options", "server_name", "server_header_transformation",
      "scheme_header_transformation", "max_request_headers_kb", "stream_flush_timeout", "drain_timeout_jitter",
      "access_log_flush_interval", "flush_access_log_on_new_request", "access_log_options",
      "original_ip_detection_extensions", "early_header_mutation_extensions", "via",
      "always_set_request_id_in_response", "forward_client_cert_details", "set_current_client_cert_details",
      "forward_client_cert_matcher", "proxy_100_continue", "normalize_path", "merge_slashes",
      "path_with_escaped_slashes_action", "request_id_extension", "local_reply_config", "strip_matching_host_port",
      "strip_any_host_port", "stream_error_on_invalid_http_message", "path_normalization_options",
      "strip_trailing_host_dot", "proxy_status_config", "typed_header_validation_config", "append_x_forwarded_port",
      "append_local_overload", "add_proxy_protocol_connection_state", "forward_proto_config",
    ])
  static let rdsFields = MessageFields(
    "envoy.extensions.filters.network.http_connection_manager.v3.Rds", read: ["route_config_name"],
    // Resources come from the object, wherever they say they come from.
    withoutEffect: ["config_source"])
  static let commonFields = MessageFields(
    "envoy.config.core.v3.HttpProtocolOptions", read: ["idle_timeout"],
    refused: [
      "max_connection_duration", "max_connection_duration_jitter", "max_headers_count", "max_response_headers_kb",
      "max_stream_duration",
      "headers_with_underscores_action", "max_requests_per_connection",
    ])
  static let upgradeFields = MessageFields(
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig",
    read: ["upgrade_type", "enabled"], refused: ["filters"])

  init(_ cursor: JSONCursor, hosts: HostTexts? = nil) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    let codec = try message.member("codec_type")?.protobufEnum(["AUTO", "HTTP1", "HTTP2"]) ?? "AUTO"
    guard codec != "HTTP2" else {
      throw try message.required("codec_type").error("HTTP2 is not supported; AUTO and HTTP1 are")
    }
    takesHTTP2 = codec == "AUTO"
    switch try message.choice("route_config", "rds") {
    case ("route_config", let member)?: routes = .inline(try RouteConfiguration(member, hosts: hosts))
    case (_, let member)?:
      let name = try Message(member, Self.rdsFields).required("route_config_name")
      routes = .named(Reference(name: try name.nonEmpty(), path: name.path))
    case nil: throw cursor.error("needs route_config or rds")
    }
    (filters, router) = try HTTPFilter.chain(message)
    var upgrades: [String] = []
    for element in try message.member("upgrade_configs")?.elements() ?? [] {
      let upgrade = try Message(element, Self.upgradeFields)
      let type = try upgrade.name("upgrade_type").lowercased()
      guard type == "websocket" else {
        throw try upgrade.required("upgrade_type").error("\"\(type)\" is not supported; websocket is")
      }
      if try upgrade.optionalBool("enabled") ?? true { upgrades.append(type) }
    }
    self.upgrades = upgrades
    streamIdleTimeout = try message.member("stream_idle_timeout")?.protobufTimeout() ?? .seconds(300)
    requestTimeout = try message.member("request_timeout")?.protobufTimeout() ?? .zero
    requestHeadersTimeout = try message.member("request_headers_timeout")?.protobufTimeout() ?? .zero
    let common = try message.member("common_http_protocol_options").map { (options) throws(FieldError) in
      try Message(options, Self.commonFields)
    }
    idleTimeout = try common?.member("idle_timeout")?.protobufTimeout()
    accessLoggers = try message.list("access_log", AccessLogger.init)
    tracing = try message.map("tracing", TracingConfig.init)
  }
}
