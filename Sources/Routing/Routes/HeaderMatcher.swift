import JSON

/// `envoy.config.route.v3.HeaderMatcher`: what a request's header must be like. Several lines of one name are one value,
/// joined by commas.
public struct HeaderMatcher: Hashable, Sendable {
  public enum Test: Hashable, Sendable {
    /// Whether the header must be there, or must not.
    case present(Bool)
    case text(TextMatcher)
    /// A decimal integer of 64 bits in a range that its end is not part of.
    case range(Range<Int64>)
  }

  /// In lower case; `:method`, `:path`, `:authority` and `:scheme` stand for parts of the request's first line.
  public let name: String
  public let test: Test
  public let inverts: Bool
  /// A header that is not there is tested as an empty one; else it does not match, inverted or not.
  public let treatsMissingAsEmpty: Bool

  static let fields = MessageFields(
    "envoy.config.route.v3.HeaderMatcher",
    read: [
      "name", "exact_match", "safe_regex_match", "range_match", "present_match", "prefix_match", "suffix_match",
      "contains_match", "string_match", "invert_match", "treat_missing_header_as_empty",
    ])
  static let rangeFields = MessageFields("envoy.type.v3.Int64Range", read: ["start", "end"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    name = try message.required("name").headerName(allowingPseudo: true)
    inverts = try message.bool("invert_match")
    treatsMissingAsEmpty = try message.bool("treat_missing_header_as_empty")
    let choice = try message.choice(
      "exact_match", "safe_regex_match", "range_match", "present_match", "prefix_match", "suffix_match",
      "contains_match", "string_match")
    guard let (specifier, member) = choice else {
      test = .present(true)
      return
    }
    test =
      switch specifier {
      case "exact_match": HeaderMatcher.exact(try member.string())
      case "prefix_match": .text(TextMatcher(.prefix(try member.nonEmpty())))
      case "suffix_match": .text(TextMatcher(.suffix(try member.nonEmpty())))
      case "contains_match": .text(TextMatcher(.contains(try member.nonEmpty())))
      case "safe_regex_match": .text(TextMatcher(.regex(try SafeRegex(member))))
      case "present_match": .present(try member.bool())
      case "string_match": .text(try TextMatcher(member))
      default: .range(try HeaderMatcher.range(member))
      }
  }

  /// An empty `exact_match` takes any value, as in Envoy; an empty `exact` of a `string_match` only the empty one.
  private static func exact(_ text: String) -> Test { .text(TextMatcher(text.isEmpty ? .prefix("") : .exact(text))) }

  private static func range(_ cursor: JSONCursor) throws(FieldError) -> Range<Int64> {
    let message = try Message(cursor, rangeFields)
    let start: Int64 = try message.member("start")?.protobufInteger() ?? 0
    let end: Int64 = try message.member("end")?.protobufInteger() ?? 0
    guard start <= end else { throw cursor.error("ends before it starts") }
    return start..<end
  }
}

/// `envoy.config.route.v3.QueryParameterMatcher`: the first value of a parameter, as it was sent, not decoded.
public struct QueryParameterMatcher: Hashable, Sendable {
  public enum Test: Hashable, Sendable {
    case present(Bool)
    case text(TextMatcher)
  }

  public let name: String
  public let test: Test

  static let fields = MessageFields(
    "envoy.config.route.v3.QueryParameterMatcher", read: ["name", "string_match", "present_match"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    name = try message.name("name")
    switch try message.choice("string_match", "present_match") {
    case ("string_match", let member)?: test = .text(try TextMatcher(member))
    case (_, let member)?: test = .present(try member.bool())
    case nil: test = .present(true)
    }
  }
}
