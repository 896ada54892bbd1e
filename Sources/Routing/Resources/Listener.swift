import JSON

/// `envoy.config.listener.v3.Listener`: where a service's traffic is led to, and how it is read.
public struct Listener: Hashable, Sendable {
  public let name: String
  public let http: HTTPConnectionManager?

  static let fields = MessageFields(
    "envoy.config.listener.v3.Listener", read: ["name", "filter_chains", "listener_filters"],
    // How Envoy opens its sockets and names its statistics; the proxy has sockets of its own, and its own limits for what
    // it buffers.
    withoutEffect: [
      "stat_prefix", "metadata", "per_connection_buffer_limit_bytes", "drain_type", "traffic_direction", "transparent",
      "freebind", "tcp_fast_open_queue_length", "reuse_port", "enable_reuse_port", "tcp_backlog_size",
      "max_connections_to_accept_per_socket_event", "bind_to_port", "connection_balance_config",
      "listener_filters_timeout", "continue_on_listener_filters_timeout", "ignore_global_conn_limit",
      "bypass_overload_manager", "stats_matcher",
    ],
    refused: [
      "address", "additional_addresses", "fcds_config", "filter_chain_matcher", "use_original_dst",
      "default_filter_chain", "per_connection_buffer_high_watermark_timeout", "deprecated_v1", "socket_options",
      "udp_listener_config", "api_listener", "access_log", "internal_listener", "enable_mptcp", "tcp_keepalive",
    ])
  static let chainFields = MessageFields(
    "envoy.config.listener.v3.FilterChain", read: ["filters"], withoutEffect: ["name", "metadata"],
    refused: [
      "filter_chain_match", "use_proxy_proto", "transport_socket", "transport_socket_connect_timeout",
    ])
  static let filterFields = MessageFields(
    "envoy.config.listener.v3.Filter", read: ["name", "typed_config"], refused: ["config_discovery"])
  static let listenerFilterFields = MessageFields(
    "envoy.config.listener.v3.ListenerFilter", read: ["name", "typed_config"],
    refused: ["config_discovery", "filter_disabled"])

  init(_ cursor: JSONCursor, hosts: HostTexts? = nil) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    name = try message.name("name")
    _ = try message.list("listener_filters", Listener.listenerFilter)
    let chains = try message.required("filter_chains")
    let elements = try chains.elements()
    guard let first = elements.first else { throw chains.error("must not be empty") }
    guard elements.count == 1 else { throw elements[1].error("more than one filter chain is not supported") }
    let chain = try Message(first, Self.chainFields)
    let filters = try chain.required("filters").elements()
    guard let filter = filters.first else { throw try chain.required("filters").error("must not be empty") }
    guard filters.count == 1 else { throw filters[1].error("a filter behind another is not supported") }
    let typed = try Message(filter, Self.filterFields)
    let configuration = try typed.required("typed_config")
    guard try configuration.protobufType() == HTTPConnectionManager.fields.message else {
      throw try configuration.unsupportedType("HttpConnectionManager is")
    }
    http = try HTTPConnectionManager(configuration, hosts: hosts)
  }

  /// The inspectors only find out what the proxy sees by itself.
  private static func listenerFilter(_ cursor: JSONCursor) throws(FieldError) -> String {
    let message = try Message(cursor, listenerFilterFields)
    let configuration = try message.required("typed_config")
    let type = try configuration.protobufType()
    let inspectors = [
      "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
      "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
    ]
    guard inspectors.contains(type) else {
      throw try configuration.unsupportedType("TlsInspector and HttpInspector are")
    }
    try configuration.allowOnly(["@type"])
    return type
  }
}
