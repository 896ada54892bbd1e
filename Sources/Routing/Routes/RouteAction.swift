import JSON

/// `envoy.config.route.v3.RouteAction`: requests go on to a cluster.
public struct RouteAction: Hashable, Sendable {
  public enum Destination: Hashable, Sendable {
    case cluster(ClusterReference)
    /// The request's header of that name, in lower case, names the cluster.
    case header(String)
    case weighted(WeightedClusters)
  }

  /// What becomes of the path; its query stays.
  public enum PathRewrite: Hashable, Sendable {
    /// Replaces what the route matched: a prefix, or all of the path.
    case matched(with: String)
    case regex(RegexSubstitution)
  }

  /// What becomes of the authority.
  public enum HostRewrite: Hashable, Sendable {
    case literal(String)
    /// The name of the endpoint that is chosen, if it has one.
    case endpoint
    /// The value of a header, if it is there and not empty.
    case header(String)
    /// The path without its query, rewritten.
    case path(RegexSubstitution)
  }

  public let destination: Destination
  /// The status for a cluster that is not there: 503, 404 or 500.
  public let clusterNotFoundStatus: UInt16
  public let pathRewrite: PathRewrite?
  public let hostRewrite: HostRewrite?
  /// The authority that is replaced is added to X-Forwarded-Host.
  public let appendsForwardedHost: Bool
  /// From the end of the request to the end of the response; zero for no limit.
  public let timeout: Duration
  /// Zero for no limit, nil for the listener's.
  public let idleTimeout: Duration?
  public let retry: RetryPolicy?
  public let hashPolicies: [HashPolicy]
  public let isHighPriority: Bool

  static let fields = MessageFields(
    "envoy.config.route.v3.RouteAction",
    read: [
      "cluster", "cluster_header", "weighted_clusters", "cluster_not_found_response_code", "prefix_rewrite",
      "regex_rewrite", "host_rewrite_literal", "auto_host_rewrite", "host_rewrite_header", "host_rewrite_path_regex",
      "append_x_forwarded_host", "timeout", "idle_timeout", "retry_policy", "priority",
      "hash_policy",
    ],
    // There are no rate limits that it could include.
    withoutEffect: ["include_vh_rate_limits"],
    refused: [
      "cluster_specifier_plugin", "inline_cluster_specifier_plugin", "metadata_match", "path_rewrite_policy",
      "path_rewrite", "host_rewrite", "flush_timeout", "early_data_policy", "retry_policy_typed_config", "rate_limits",
      "cors", "max_grpc_timeout", "grpc_timeout_offset", "upgrade_configs", "internal_redirect_policy",
      "internal_redirect_action", "max_internal_redirects", "hedge_policy", "max_stream_duration",
      "request_mirror_policies",
    ])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    guard let (kind, member) = try message.choice("cluster", "cluster_header", "weighted_clusters") else {
      throw cursor.error("needs cluster, cluster_header or weighted_clusters")
    }
    destination =
      switch kind {
      case "cluster": .cluster(try ClusterReference(member))
      case "cluster_header": .header(try member.headerName(allowingPseudo: true))
      default: .weighted(try WeightedClusters(member))
      }
    let notFound = try message.member("cluster_not_found_response_code")?.protobufEnum([
      "SERVICE_UNAVAILABLE", "NOT_FOUND", "INTERNAL_SERVER_ERROR",
    ])
    clusterNotFoundStatus = notFound == "NOT_FOUND" ? 404 : notFound == "INTERNAL_SERVER_ERROR" ? 500 : 503
    pathRewrite = try RouteAction.pathRewrite(message)
    hostRewrite = try RouteAction.hostRewrite(message)
    appendsForwardedHost = try message.bool("append_x_forwarded_host")
    timeout = try message.member("timeout")?.protobufTimeout() ?? .seconds(15)
    idleTimeout = try message.member("idle_timeout")?.protobufTimeout()
    retry = try message.map("retry_policy", RetryPolicy.init)
    hashPolicies = try message.list("hash_policy", HashPolicy.init)
    isHighPriority = try message.member("priority")?.protobufEnum(["DEFAULT", "HIGH"]) == "HIGH"
  }

  private static func pathRewrite(_ message: Message) throws(FieldError) -> PathRewrite? {
    let prefix = try message.member("prefix_rewrite")?.target() ?? ""
    guard let regex = message.member("regex_rewrite") else { return prefix.isEmpty ? nil : .matched(with: prefix) }
    guard prefix.isEmpty else { throw regex.error("can not be set together with prefix_rewrite") }
    return .regex(try RegexSubstitution(regex))
  }

  private static func hostRewrite(_ message: Message) throws(FieldError) -> HostRewrite? {
    let choice = try message.choice(
      "host_rewrite_literal", "auto_host_rewrite", "host_rewrite_header", "host_rewrite_path_regex")
    guard let (kind, member) = choice else { return nil }
    switch kind {
    case "host_rewrite_literal":
      let host = try member.authority()
      return host.isEmpty ? nil : .literal(host)
    case "auto_host_rewrite": return try member.bool() ? .endpoint : nil
    case "host_rewrite_header":
      return try member.string().isEmpty ? nil : .header(try member.headerName(allowingPseudo: true))
    default: return .path(try RegexSubstitution(member))
    }
  }
}

extension JSONCursor {
  /// Text that can stand in a header without ending it.
  func authority() throws(FieldError) -> String {
    let text = try string()
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw error("space or control character in a host") }
    return text
  }

  /// Text for a path or an address that does not end the line it is written to.
  func target() throws(FieldError) -> String {
    let text = try string()
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw error("space or control character in a path") }
    return text
  }
}

/// A cluster by its name, and where that is written.
public struct ClusterReference: Sendable {
  public let name: String
  public let path: String

  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.nonEmpty()
    path = cursor.path
  }
}

extension ClusterReference: Hashable {
  public static func == (left: ClusterReference, right: ClusterReference) -> Bool { left.name == right.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}
