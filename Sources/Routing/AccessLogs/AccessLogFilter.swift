import JSON

/// `envoy.config.accesslog.v3.AccessLogFilter`: which requests a log tells of.
public indirect enum AccessLogFilter: Hashable, Sendable {
  public enum Comparison: String, Hashable, Sendable, CaseIterable {
    case equal = "EQ"
    case atLeast = "GE"
    case atMost = "LE"
    case different = "NE"

    public func holds(_ left: UInt64, _ right: UInt64) -> Bool {
      switch self {
      case .equal: left == right
      case .atLeast: left >= right
      case .atMost: left <= right
      case .different: left != right
      }
    }
  }

  case status(Comparison, UInt64)
  /// In milliseconds.
  case duration(Comparison, UInt64)
  /// Nothing here answers health checks.
  case any
  /// Its trace is sampled.
  case traced
  case fraction(Fraction)
  case all([AccessLogFilter])
  case anyOf([AccessLogFilter])
  case header(HeaderMatcher)
  case flags(ResponseFlags)

  static let fields = MessageFields(
    "envoy.config.accesslog.v3.AccessLogFilter",
    read: [
      "status_code_filter", "duration_filter", "not_health_check_filter", "traceable_filter", "runtime_filter",
      "and_filter", "or_filter", "header_filter", "response_flag_filter",
    ], refused: ["grpc_status_filter", "extension_filter", "metadata_filter", "log_type_filter"])
  static let statusFields = MessageFields("envoy.config.accesslog.v3.StatusCodeFilter", read: ["comparison"])
  static let durationFields = MessageFields("envoy.config.accesslog.v3.DurationFilter", read: ["comparison"])
  static let comparisonFields = MessageFields(
    "envoy.config.accesslog.v3.ComparisonFilter", read: ["op", "value"])
  static let numberFields = MessageFields(
    "envoy.config.core.v3.RuntimeUInt32", read: ["default_value"], withoutEffect: ["runtime_key"])
  static let healthFields = MessageFields("envoy.config.accesslog.v3.NotHealthCheckFilter", read: [])
  static let traceableFields = MessageFields("envoy.config.accesslog.v3.TraceableFilter", read: [])
  static let runtimeFields = MessageFields(
    "envoy.config.accesslog.v3.RuntimeFilter", read: ["percent_sampled"],
    // There is no runtime, and requests are drawn independently.
    withoutEffect: ["runtime_key", "use_independent_randomness"])
  static let andFields = MessageFields("envoy.config.accesslog.v3.AndFilter", read: ["filters"])
  static let orFields = MessageFields("envoy.config.accesslog.v3.OrFilter", read: ["filters"])
  static let headerFields = MessageFields("envoy.config.accesslog.v3.HeaderFilter", read: ["header"])
  static let flagFields = MessageFields("envoy.config.accesslog.v3.ResponseFlagFilter", read: ["flags"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let choice = try Message(cursor, Self.fields).choice(
      "status_code_filter", "duration_filter", "not_health_check_filter", "traceable_filter", "runtime_filter",
      "and_filter", "or_filter", "header_filter", "response_flag_filter")
    guard let (kind, member) = choice else { throw cursor.error("needs one of its filters") }
    switch kind {
    case "status_code_filter":
      let (comparison, value) = try Self.comparison(try Message(member, Self.statusFields))
      self = .status(comparison, value)
    case "duration_filter":
      let (comparison, value) = try Self.comparison(try Message(member, Self.durationFields))
      self = .duration(comparison, value)
    case "not_health_check_filter":
      _ = try Message(member, Self.healthFields)
      self = .any
    case "traceable_filter":
      _ = try Message(member, Self.traceableFields)
      self = .traced
    case "runtime_filter":
      let sampled = try Message(member, Self.runtimeFields).member("percent_sampled")
      self = .fraction(try sampled.map { (cursor) throws(FieldError) in try Fraction(cursor) } ?? .empty)
    case "and_filter": self = .all(try Self.list(try Message(member, Self.andFields)))
    case "or_filter": self = .anyOf(try Self.list(try Message(member, Self.orFields)))
    case "header_filter": self = .header(try HeaderMatcher(try Message(member, Self.headerFields).required("header")))
    default: self = .flags(try Self.flags(try Message(member, Self.flagFields)))
    }
  }

  private static func comparison(_ message: Message) throws(FieldError) -> (Comparison, UInt64) {
    let comparison = try Message(try message.required("comparison"), comparisonFields)
    let op = try comparison.member("op")?.protobufEnum(Comparison.allCases.map(\.rawValue))
    let value = try Message(try comparison.required("value"), numberFields)
    return (op.flatMap(Comparison.init) ?? .equal, UInt64(try value.uint32("default_value") ?? 0))
  }

  private static func list(_ message: Message) throws(FieldError) -> [AccessLogFilter] {
    let filters = try message.list("filters", AccessLogFilter.init)
    guard filters.count >= 2 else { throw try message.required("filters").error("must be two filters at least") }
    return filters
  }

  /// Without any flag, whatever has one.
  private static func flags(_ message: Message) throws(FieldError) -> ResponseFlags {
    guard let member = message.member("flags"), let elements = try? member.elements(), !elements.isEmpty else {
      return .all
    }
    var flags: ResponseFlags = []
    for element in elements {
      let name = try element.string()
      if let known = ResponseFlag.allCases.first(where: { "\($0.short)" == name }) {
        flags.insert(ResponseFlags(known))
      } else if !ResponseFlag.others.contains(name) {
        throw element.error("\"\(name)\" is no response flag")
      }
    }
    return flags
  }
}
