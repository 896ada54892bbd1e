import JSON

/// `envoy.config.route.v3.Route`: which requests, and what becomes of them. A class, so that one that has not changed is known
/// by its identity, and handed to each request without its many parts.
public final class Route: Sendable {
  /// Behind a reference, as each request looks at it.
  public indirect enum Action: Hashable, Sendable {
    case forward(RouteAction)
    case redirect(RedirectAction)
    case respond(DirectResponse)
  }

  /// Empty where it has none.
  public let name: String
  public let match: RouteMatch
  public let action: Action
  public let requestHeaders: HeaderMutations
  public let responseHeaders: HeaderMutations
  public let filters: PerFilterConfigs

  static let fields = MessageFields(
    "envoy.config.route.v3.Route",
    read: [
      "name", "match", "route", "redirect", "direct_response", "request_headers_to_add", "request_headers_to_remove",
      "response_headers_to_add", "response_headers_to_remove", "typed_per_filter_config",
    ],
    withoutEffect: ["metadata", "stat_prefix"],
    refused: [
      "filter_action", "non_forwarding_action", "decorator", "tracing",
      "per_request_buffer_limit_bytes", "request_body_buffer_limit", "route_specifiers",
    ])

  init(_ cursor: JSONCursor, bodyLimit: UInt32) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    name = try message.string("name")
    match = try RouteMatch(try message.required("match"))
    guard let (kind, member) = try message.choice("route", "redirect", "direct_response") else {
      throw cursor.error("needs route, redirect or direct_response")
    }
    switch kind {
    case "route": action = .forward(try RouteAction(member))
    case "redirect": action = .redirect(try RedirectAction(member))
    default: action = .respond(try DirectResponse(member, bodyLimit: bodyLimit))
    }
    requestHeaders = try HeaderMutations(message, "request")
    responseHeaders = try HeaderMutations(message, "response")
    filters = try PerFilterConfigs(message)
  }
}

extension Route: Hashable {
  public static func == (left: Route, right: Route) -> Bool {
    left === right
      || left.name == right.name && left.match == right.match && left.action == right.action
        && left.requestHeaders == right.requestHeaders && left.responseHeaders == right.responseHeaders
        && left.filters == right.filters
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(match)
    hasher.combine(action)
  }
}
