import JSON

/// `HttpConnectionManager.Tracing`: which requests get spans, and where these go.
public struct TracingConfig: Hashable, Sendable {
  /// Of requests that say nothing of a trace.
  public let random: Fraction
  /// Of those that ask for one by `x-client-trace-id`.
  public let client: Fraction
  /// Of all, whoever asks.
  public let overall: Fraction
  /// Octets of a path that a span tells.
  public let maximumPath: Int
  public let tags: [CustomTag]
  /// The request to the server has a span of its own.
  public let spawnsUpstreamSpan: Bool
  public let collector: Collector

  /// Where spans go, as OTLP over HTTP.
  public struct Collector: Hashable, Sendable {
    /// The cluster whose endpoints take them.
    public let cluster: ClusterReference
    /// The authority and the path of requests to it.
    public let host: String
    public let path: String
    public let timeout: Duration
    public let headers: [Header]
    public let serviceName: String
  }

  public struct Header: Hashable, Sendable {
    public let name: String
    public let value: String
  }

  static let fields = MessageFields(
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing",
    read: [
      "client_sampling", "random_sampling", "overall_sampling", "max_path_tag_length", "custom_tags", "provider",
      "spawn_upstream_span",
    ], refused: ["verbose", "operation", "upstream_operation", "no_context_propagation"])
  static let percentFields = MessageFields("envoy.type.v3.Percent", read: ["value"])
  static let providerFields = MessageFields(
    "envoy.config.trace.v3.Tracing.Http", read: ["name", "typed_config"])
  static let openTelemetryFields = MessageFields(
    "envoy.config.trace.v3.OpenTelemetryConfig", read: ["http_service", "service_name"],
    // What waits is bounded by the proxy itself.
    withoutEffect: ["max_cache_size"], refused: ["grpc_service", "resource_detectors", "sampler"])
  static let serviceFields = MessageFields(
    "envoy.config.core.v3.HttpService", read: ["http_uri", "request_headers_to_add"], refused: ["formatters"])
  static let uriFields = MessageFields("envoy.config.core.v3.HttpUri", read: ["uri", "cluster", "timeout"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    client = try message.map("client_sampling", Self.percent) ?? .full
    random = try message.map("random_sampling", Self.percent) ?? .full
    overall = try message.map("overall_sampling", Self.percent) ?? .full
    maximumPath = Int(try message.uint32("max_path_tag_length") ?? 256)
    spawnsUpstreamSpan = try message.bool("spawn_upstream_span")
    tags = try message.list("custom_tags", CustomTag.init)
    let provider = try Message(try message.required("provider"), Self.providerFields)
    _ = try provider.name("name")
    let configuration = try provider.required("typed_config")
    guard try configuration.protobufType() == Self.openTelemetryFields.message else {
      throw try configuration.unsupportedType("OpenTelemetryConfig is")
    }
    collector = try Collector(configuration)
  }

  /// To a hundredth of a percent.
  private static func percent(_ cursor: JSONCursor) throws(FieldError) -> Fraction {
    guard let member = try Message(cursor, percentFields).member("value") else { return .empty }
    let value: Double
    switch member.value {
    case .integer(let integer): value = Double(integer)
    case .number(let number): value = number
    default: throw member.error("must be a number, is \(member.value.typeName)")
    }
    guard let fraction = Fraction(percent: value) else { throw member.error("must be from 0 to 100") }
    return fraction
  }
}

extension TracingConfig.Collector {
  fileprivate init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, TracingConfig.openTelemetryFields, isAny: true)
    let name = try message.string("service_name")
    serviceName = name.isEmpty ? "unknown_service:martlet" : name
    let service = try Message(try message.required("http_service"), TracingConfig.serviceFields)
    headers = try service.list("request_headers_to_add", TracingConfig.Header.init)
    let target = try Message(try service.required("http_uri"), TracingConfig.uriFields)
    cluster = try ClusterReference(try target.required("cluster"))
    guard let timeout = try target.member("timeout")?.protobufTimeout(), timeout > .zero else {
      throw try target.required("timeout").error("must be more than zero")
    }
    self.timeout = min(timeout, .seconds(60))
    let uri = try target.required("uri")
    (host, path) = try TracingConfig.Collector.parts(uri)
  }

  /// The authority and the path of `http://authority/path`.
  private static func parts(_ cursor: JSONCursor) throws(FieldError) -> (host: String, path: String) {
    let text = try cursor.string()
    guard text.hasPrefix("http://") else { throw cursor.error("must begin with http://; https is not supported") }
    let rest = text.dropFirst(7)
    let host = rest.prefix { $0 != "/" }
    let path = rest[host.endIndex...]
    guard !host.isEmpty, rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }),
      !host.contains(where: { $0 == "@" || $0 == "?" })
    else { throw cursor.error("is not http://HOST/PATH") }
    return (String(host), path.isEmpty ? "/" : String(path))
  }
}

extension TracingConfig.Header {
  fileprivate init(_ cursor: JSONCursor) throws(FieldError) {
    let addition = try HeaderAddition(cursor)
    name = addition.name
    value = try addition.value.pieces.map { (piece) throws(FieldError) in
      guard case .text(let text) = piece else {
        throw cursor.error("variables are not supported: the proxy's own requests have none")
      }
      return text
    }.joined()
  }
}

/// `envoy.type.tracing.v3.CustomTag`: an attribute of every span.
public struct CustomTag: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case literal(String)
    /// A header of the request, in lower case, and what stands in its place where it is missing; empty for nothing.
    case header(String, otherwise: String)
  }

  public let tag: String
  public let value: Value

  static let fields = MessageFields(
    "envoy.type.tracing.v3.CustomTag", read: ["tag", "literal", "request_header"],
    refused: ["environment", "metadata", "value"])
  static let literalFields = MessageFields("envoy.type.tracing.v3.CustomTag.Literal", read: ["value"])
  static let headerFields = MessageFields(
    "envoy.type.tracing.v3.CustomTag.Header", read: ["name", "default_value"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    tag = try message.name("tag")
    switch try message.choice("literal", "request_header") {
    case ("literal", let member)?: value = .literal(try Message(member, Self.literalFields).name("value"))
    case (_, let member)?:
      let header = try Message(member, Self.headerFields)
      value = .header(
        try header.required("name").headerName(allowingPseudo: true), otherwise: try header.string("default_value"))
    case nil: throw cursor.error("needs literal or request_header")
    }
  }
}
