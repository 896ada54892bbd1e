import JSON

/// `…http_connection_manager.v3.HttpFilter`: a step between the listener and the router.
public struct HTTPFilter: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case headerMutation(HeaderMutationFilter)
    /// Its policies are those of the routes.
    case cors
    case accessControl(AccessControl)
    case fault(Fault)
    case rateLimit(RateLimit)
    case buffer(RequestBuffer)
  }

  /// By which routes name it.
  public let name: String
  /// Only routes that say so have it.
  public let isDisabled: Bool
  public let kind: Kind

  static let fields = MessageFields(
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    read: ["name", "typed_config", "disabled"], withoutEffect: ["is_optional"], refused: ["config_discovery"])
  static let corsFields = MessageFields("envoy.extensions.filters.http.cors.v3.Cors", read: [])

  /// Filters that are to come: named, so that their refusal says so.
  static let planned: Set<String> = [
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
  ]

  private init(_ message: Message, _ configuration: JSONCursor) throws(FieldError) {
    name = try message.name("name")
    isDisabled = try message.bool("disabled")
    let type = try configuration.protobufType()
    switch type {
    case HeaderMutationFilter.fields.message: kind = .headerMutation(try HeaderMutationFilter(configuration))
    case Self.corsFields.message:
      _ = try Message(configuration, Self.corsFields, isAny: true)
      kind = .cors
    case AccessControl.fields.message: kind = .accessControl(try AccessControl(configuration))
    case Fault.fields.message: kind = .fault(try Fault(configuration))
    case RateLimit.fields.message: kind = .rateLimit(try RateLimit(configuration, ofRoute: false))
    case RequestBuffer.fields.message: kind = .buffer(try RequestBuffer(configuration))
    default:
      if Self.planned.contains(type) { throw configuration.error("\(type) is not supported yet") }
      throw try configuration.unsupportedType(
        "Router, HeaderMutation, Cors, RBAC, HTTPFault, LocalRateLimit and Buffer are")
    }
  }

  /// The filters of a connection manager, and the router behind them. Without any, the router alone serves: the examples of
  /// Cilium's leave it out.
  static func chain(_ message: Message) throws(FieldError) -> ([HTTPFilter], HTTPRouter) {
    guard let member = message.member("http_filters") else { return ([], HTTPRouter()) }
    let elements = try member.elements()
    var filters: [HTTPFilter] = []
    for (index, element) in elements.enumerated() {
      let message = try Message(element, Self.fields)
      let configuration = try message.required("typed_config")
      guard try configuration.protobufType() == HTTPRouter.fields.message else {
        filters.append(try HTTPFilter(message, configuration))
        continue
      }
      _ = try message.name("name")
      guard try !message.bool("disabled") else {
        throw try message.required("disabled").error("the router can not be disabled")
      }
      guard index == elements.count - 1 else {
        throw elements[index + 1].error("behind the router there can be no filter")
      }
      return (filters, try HTTPRouter(configuration))
    }
    guard elements.isEmpty else { throw elements[elements.count - 1].error("the last filter must be the router") }
    return ([], HTTPRouter())
  }
}

extension HTTPFilter.Kind {
  /// As in the name by which Envoy knows it: `envoy.filters.http.rbac`.
  public var word: String {
    switch self {
    case .headerMutation: "header_mutation"
    case .cors: "cors"
    case .accessControl: "rbac"
    case .fault: "fault"
    case .rateLimit: "local_ratelimit"
    case .buffer: "buffer"
    }
  }
}

/// `envoy.extensions.filters.http.router.v3.Router`: the end of the filters, from where requests take their routes.
public struct HTTPRouter: Hashable, Sendable {
  /// Servers are not told the path and the host before they were rewritten.
  public let suppressesEnvoyHeaders: Bool

  static let fields = MessageFields(
    "envoy.extensions.filters.http.router.v3.Router", read: ["suppress_envoy_headers"],
    withoutEffect: ["dynamic_stats", "suppress_grpc_request_failure_code_stats"],
    refused: [
      "start_child_span", "upstream_log", "upstream_log_options", "strict_check_headers",
      "respect_expected_rq_timeout", "upstream_http_filters", "reject_connect_request_early_data",
    ])

  init() { suppressesEnvoyHeaders = false }

  init(_ cursor: JSONCursor) throws(FieldError) {
    suppressesEnvoyHeaders = try Message(cursor, Self.fields, isAny: true).bool("suppress_envoy_headers")
  }
}
