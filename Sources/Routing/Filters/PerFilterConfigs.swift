import JSON

/// `typed_per_filter_config`: what a virtual host, a route or a weighted cluster says to the listener's filters, by their names.
public struct PerFilterConfigs: Hashable, Sendable {
  public enum Setting: Hashable, Sendable {
    case disabled
    /// On, with what other levels say to it.
    case enabled
    case config(RouteFilterConfig)
  }

  public struct Entry: Sendable {
    public let filter: String
    public let setting: Setting
    /// Where it is written.
    public let path: String
  }

  /// Sorted by the names of the filters.
  public let entries: [Entry]

  public var isEmpty: Bool { entries.isEmpty }

  static let fields = MessageFields(
    "envoy.config.route.v3.FilterConfig", read: ["config", "disabled"],
    // What is not supported is refused all the same.
    withoutEffect: ["is_optional"])

  init(_ message: Message) throws(FieldError) {
    var entries: [Entry] = []
    for (name, cursor) in try message.member("typed_per_filter_config")?.members() ?? [] {
      entries.append(Entry(filter: name, setting: try PerFilterConfigs.setting(cursor), path: cursor.path))
    }
    self.entries = entries.sorted { $0.filter < $1.filter }
  }

  private static func setting(_ cursor: JSONCursor) throws(FieldError) -> Setting {
    guard try cursor.protobufType() == fields.message else { return .config(try RouteFilterConfig(cursor)) }
    let message = try Message(cursor, fields, isAny: true)
    let isDisabled = try message.bool("disabled")
    var config: RouteFilterConfig?
    if let member = message.member("config"), try !member.members().isEmpty { config = try RouteFilterConfig(member) }
    if isDisabled { return .disabled }
    if let config { return .config(config) }
    _ = try message.required("config")
    return .enabled
  }
}

extension PerFilterConfigs.Entry: Hashable {
  /// Wherever it is written.
  public static func == (left: Self, right: Self) -> Bool {
    left.filter == right.filter && left.setting == right.setting
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(filter)
    hasher.combine(setting)
  }
}

/// What a level of the routes says to one filter.
public enum RouteFilterConfig: Hashable, Sendable {
  case headerMutation(HeaderMutationRules)
  case cors(CorsPolicy)
  /// nil: anything is allowed.
  case accessControl(AccessControl?)
  case fault(Fault)
  case rateLimit(RateLimit)
  /// nil: requests may be of any size.
  case buffer(RequestBuffer?)

  init(_ cursor: JSONCursor) throws(FieldError) {
    switch try cursor.protobufType() {
    case HeaderMutationFilter.routeFields.message:
      let message = try Message(cursor, HeaderMutationFilter.routeFields, isAny: true)
      self = .headerMutation(try HeaderMutationRules(message))
    case CorsPolicy.fields.message: self = .cors(try CorsPolicy(cursor))
    case AccessControl.routeFields.message:
      let message = try Message(cursor, AccessControl.routeFields, isAny: true)
      self = .accessControl(try message.map("rbac", AccessControl.init))
    case Fault.fields.message: self = .fault(try Fault(cursor))
    case RateLimit.fields.message: self = .rateLimit(try RateLimit(cursor, ofRoute: true))
    case RequestBuffer.routeFields.message: self = .buffer(try RequestBuffer.ofRoute(cursor))
    default:
      throw try cursor.unsupportedType(
        "FilterConfig, HeaderMutationPerRoute, CorsPolicy, RBACPerRoute, HTTPFault, LocalRateLimit and BufferPerRoute are"
      )
    }
  }

  /// As ``HTTPFilter/Kind/word``.
  var word: String {
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
