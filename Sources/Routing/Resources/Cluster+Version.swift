import JSON

extension Cluster {
  /// The version of HTTP that endpoints are spoken to in.
  public enum Version: Hashable, Sendable {
    case http1
    /// With prior knowledge (RFC 9113, 3.3).
    case http2
    /// That of the client.
    case sameAsClient

    public func isHTTP2(client: Bool) -> Bool { self == .http2 || self == .sameAsClient && client }
  }

  static let versionKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

  static let protocolFields = MessageFields(
    versionKey, read: ["explicit_http_config", "use_downstream_protocol_config"],
    refused: [
      "common_http_protocol_options", "upstream_http_protocol_options", "auto_config", "http_filters",
      "header_validation_config", "outlier_detection", "retry_policy", "request_mirror_policies", "hash_policy",
    ])
  static let explicitFields = MessageFields(
    versionKey + ".ExplicitHttpConfig", read: ["http_protocol_options", "http2_protocol_options"],
    refused: ["http3_protocol_options"])
  static let downstreamFields = MessageFields(
    versionKey + ".UseDownstreamHttpConfig", read: ["http_protocol_options", "http2_protocol_options"],
    refused: ["http3_protocol_options"])
  static let http1Fields = MessageFields(
    "envoy.config.core.v3.Http1ProtocolOptions", read: [],
    // About clients, whom these options are not for; what is malformed is refused in any case.
    withoutEffect: [
      "allow_absolute_url", "accept_http_10", "default_host_for_http_10", "use_balsa_parser", "ignore_http_11_upgrade",
    ],
    refused: [
      "header_key_format", "enable_trailers", "allow_chunked_length", "override_stream_error_on_invalid_http_message",
      "send_fully_qualified_url", "allow_custom_methods",
    ])
  static let http2Fields = MessageFields(
    "envoy.config.core.v3.Http2ProtocolOptions", read: [],
    // Windows, tables and bounds against floods are the proxy's own affair.
    withoutEffect: [
      "hpack_table_size", "initial_stream_window_size", "initial_connection_window_size", "max_outbound_frames",
      "max_outbound_control_frames", "max_consecutive_inbound_frames_with_empty_payload",
      "max_inbound_priority_frames_per_stream", "max_inbound_window_update_frames_per_data_frame_sent",
      "use_oghttp2_codec", "enable_huffman_encoding",
    ],
    refused: [
      "max_concurrent_streams", "allow_connect", "allow_metadata", "max_metadata_size",
      "stream_error_on_invalid_http_messaging", "override_stream_error_on_invalid_http_message",
      "custom_settings_parameters", "connection_keepalive",
    ])

  /// What a cluster's message says of it; HTTP/1.1 where it says nothing.
  static func version(_ message: Message) throws(FieldError) -> Version {
    let old = message.member("http2_protocol_options")
    if let old { _ = try Message(old, http2Fields) }
    guard let extensions = message.member("typed_extension_protocol_options") else {
      return old == nil ? .http1 : .http2
    }
    var version: Version?
    for (key, options) in try extensions.members() {
      guard key == versionKey else { throw options.error("not supported; \(versionKey) is") }
      guard try options.protobufType() == versionKey else { throw try options.unsupportedType("\(versionKey) is") }
      version = try Cluster.version(ofOptions: Message(options, protocolFields, isAny: true))
    }
    if let old, version != nil { throw old.error("can not be set together with typed_extension_protocol_options") }
    return version ?? (old == nil ? .http1 : .http2)
  }

  private static func version(ofOptions options: Message) throws(FieldError) -> Version {
    guard let choice = try options.choice("explicit_http_config", "use_downstream_protocol_config") else {
      throw options.cursor.error("one of explicit_http_config and use_downstream_protocol_config is required")
    }
    let isExplicit = choice.name == "explicit_http_config"
    let versions = try Message(choice.cursor, isExplicit ? explicitFields : downstreamFields)
    let http1 = versions.member("http_protocol_options")
    let http2 = versions.member("http2_protocol_options")
    if let http1 { _ = try Message(http1, http1Fields) }
    if let http2 { _ = try Message(http2, http2Fields) }
    guard isExplicit else { return .sameAsClient }
    if http1 != nil, let http2 { throw http2.error("can not be set together with http_protocol_options") }
    guard http1 != nil || http2 != nil else {
      throw choice.cursor.error("one of http_protocol_options and http2_protocol_options is required")
    }
    return http2 == nil ? .http1 : .http2
  }
}
