import JSON

/// `envoy.config.route.v3.RouteConfiguration`: the virtual hosts that requests are led by.
public struct RouteConfiguration: Hashable, Sendable {
  public let name: String
  public let virtualHosts: [VirtualHost]
  public let requestHeaders: HeaderMutations
  public let responseHeaders: HeaderMutations
  /// Headers are changed by the table first and by the route last; else the other way round.
  public let mostSpecificHeadersWin: Bool
  /// `Host: a:8080` is of the domain `a`.
  public let ignoresPort: Bool
  public let filters: PerFilterConfigs

  static let fields = MessageFields(
    "envoy.config.route.v3.RouteConfiguration",
    read: [
      "name", "virtual_hosts", "response_headers_to_add", "response_headers_to_remove", "request_headers_to_add",
      "request_headers_to_remove", "most_specific_header_mutations_wins", "max_direct_response_body_size_bytes",
      "ignore_port_in_host_matching", "typed_per_filter_config",
    ],
    // Clusters that nothing declares are refused in any case.
    withoutEffect: ["validate_clusters", "metadata"],
    refused: [
      "vhds", "internal_only_headers", "cluster_specifier_plugins", "vhost_header",
      "ignore_path_parameters_in_path_matching", "route_specifiers",
      "request_mirror_policies",
    ])

  /// Decodes the message at `cursor`, which may be packed in an Any.
  public init(_ cursor: JSONCursor) throws(FieldError) { try self.init(cursor, hosts: nil) }

  /// - Parameter hosts: Decodes the virtual hosts, which are left out at `cursor`.
  init(_ cursor: JSONCursor, hosts: HostTexts?) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    name = try message.string("name")
    let limit = try message.uint32("max_direct_response_body_size_bytes") ?? 4096
    if let hosts, let member = message.member("virtual_hosts") {
      virtualHosts = try hosts.decode(member, bodyLimit: limit)
    } else {
      virtualHosts = try message.list("virtual_hosts") { (cursor) throws(FieldError) in
        try VirtualHost(cursor, bodyLimit: limit)
      }
    }
    requestHeaders = try HeaderMutations(message, "request")
    responseHeaders = try HeaderMutations(message, "response")
    mostSpecificHeadersWin = try message.bool("most_specific_header_mutations_wins")
    ignoresPort = try message.bool("ignore_port_in_host_matching")
    filters = try PerFilterConfigs(message)
  }
}

/// `envoy.config.route.v3.VirtualHost`: the routes of some domains, of which the first that matches is taken.
public final class VirtualHost: Sendable {
  public let name: String
  /// `a.example`, `*.example`, `a.*` or `*`; without regard to case.
  public let domains: [String]
  public let routes: [Route]
  /// Requests that did not come by TLS are redirected to https.
  public let requiresTLS: Bool
  public let requestHeaders: HeaderMutations
  public let responseHeaders: HeaderMutations
  public let retry: RetryPolicy?
  public let filters: PerFilterConfigs
  /// Where it is written.
  let path: String

  static let fields = MessageFields(
    "envoy.config.route.v3.VirtualHost",
    read: [
      "name", "domains", "routes", "require_tls", "request_headers_to_add", "request_headers_to_remove",
      "response_headers_to_add", "response_headers_to_remove", "retry_policy", "typed_per_filter_config",
    ],
    // They only name statistics; and metadata is for filters that are refused.
    withoutEffect: ["virtual_clusters", "metadata"],
    refused: [
      "matcher", "rate_limits", "cors", "include_request_attempt_count",
      "include_attempt_count_in_response", "retry_policy_typed_config", "hedge_policy",
      "include_is_timeout_retry_header", "per_request_buffer_limit_bytes", "request_body_buffer_limit",
      "route_specifiers", "request_mirror_policies",
    ])

  /// - Parameter routes: Decodes the routes, which are left out at `cursor`.
  init(
    _ cursor: JSONCursor, bodyLimit: UInt32, routes decode: ((JSONCursor) throws(FieldError) -> [Route])? = nil
  ) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    name = try message.name("name")
    domains = try message.list("domains") { (domain) throws(FieldError) in try domain.nonEmpty() }
    guard !domains.isEmpty else { throw try message.required("domains").error("must not be empty") }
    if let decode, let member = message.member("routes") {
      routes = try decode(member)
    } else {
      routes = try message.list("routes") { (cursor) throws(FieldError) in try Route(cursor, bodyLimit: bodyLimit) }
    }
    switch try message.member("require_tls")?.protobufEnum(["NONE", "EXTERNAL_ONLY", "ALL"]) {
    case "ALL": requiresTLS = true
    case "EXTERNAL_ONLY": throw try message.required("require_tls").error("EXTERNAL_ONLY is not supported")
    default: requiresTLS = false
    }
    requestHeaders = try HeaderMutations(message, "request")
    responseHeaders = try HeaderMutations(message, "response")
    retry = try message.map("retry_policy", RetryPolicy.init)
    filters = try PerFilterConfigs(message)
    path = cursor.path
  }
}

extension VirtualHost: Hashable {
  /// Wherever it is written.
  public static func == (left: VirtualHost, right: VirtualHost) -> Bool {
    left === right
      || left.name == right.name && left.domains == right.domains && left.routes == right.routes
        && left.hasSettings(of: right)
  }

  private func hasSettings(of other: VirtualHost) -> Bool {
    requiresTLS == other.requiresTLS && requestHeaders == other.requestHeaders
      && responseHeaders == other.responseHeaders && retry == other.retry && filters == other.filters
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(domains)
  }
}
