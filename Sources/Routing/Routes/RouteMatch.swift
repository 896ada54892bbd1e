import JSON

/// `envoy.config.route.v3.RouteMatch`: which requests a route is for. All that is said must hold.
public struct RouteMatch: Hashable, Sendable {
  /// About the path without its query.
  public enum Path: Hashable, Sendable {
    case exact(String)
    case prefix(String)
    /// The path itself, or what is below it: `/api` and `/api/x`, not `/apis`.
    case separatedPrefix(String)
    case regex(SafeRegex)
  }

  public let path: Path
  /// Of the path, but for regular expressions; ASCII.
  public let isCaseSensitive: Bool
  public let headers: [HeaderMatcher]
  public let queryParameters: [QueryParameterMatcher]
  /// nil for all requests.
  public let fraction: Fraction?
  /// Only requests whose content type is gRPC's.
  public let isGRPC: Bool

  static let fields = MessageFields(
    "envoy.config.route.v3.RouteMatch",
    read: [
      "prefix", "path", "safe_regex", "path_separated_prefix", "case_sensitive", "runtime_fraction", "headers",
      "query_parameters", "grpc",
    ],
    refused: ["connect_matcher", "path_match_policy", "cookies", "tls_context", "dynamic_metadata", "filter_state"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    guard let (name, member) = try message.choice("prefix", "path", "safe_regex", "path_separated_prefix") else {
      throw cursor.error("needs prefix, path, path_separated_prefix or safe_regex")
    }
    switch name {
    case "prefix": path = .prefix(try member.string())
    case "path": path = .exact(try member.string())
    case "safe_regex": path = .regex(try SafeRegex(member))
    default:
      let prefix = try member.nonEmpty()
      guard prefix.utf8.last != UInt8(ascii: "/"), !prefix.utf8.contains(UInt8(ascii: "?")),
        !prefix.utf8.contains(UInt8(ascii: "#"))
      else { throw member.error("must be a path without ?, # and a slash at its end") }
      path = .separatedPrefix(prefix)
    }
    isCaseSensitive = try message.optionalBool("case_sensitive") ?? true
    headers = try message.list("headers", HeaderMatcher.init)
    queryParameters = try message.list("query_parameters", QueryParameterMatcher.init)
    fraction = try message.map("runtime_fraction") { (cursor) throws(FieldError) in try Fraction(runtime: cursor) }
    try message.member("grpc")?.allowOnly([])
    isGRPC = message.member("grpc") != nil
  }
}
