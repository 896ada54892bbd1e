import JSON

/// `envoy.type.matcher.v3.StringMatcher`.
public struct TextMatcher: Hashable, Sendable {
  public enum Pattern: Hashable, Sendable {
    case exact(String)
    case prefix(String)
    case suffix(String)
    case contains(String)
    case regex(SafeRegex)
  }

  public let pattern: Pattern
  /// ASCII only, and not for regular expressions, which say `(?i)` themselves.
  public let ignoresCase: Bool

  init(_ pattern: Pattern, ignoresCase: Bool = false) {
    self.pattern = pattern
    self.ignoresCase = ignoresCase
  }

  static let fields = MessageFields(
    "envoy.type.matcher.v3.StringMatcher",
    read: ["exact", "prefix", "suffix", "safe_regex", "contains", "ignore_case"], refused: ["custom"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    guard let (name, member) = try message.choice("exact", "prefix", "suffix", "safe_regex", "contains") else {
      throw cursor.error("needs exact, prefix, suffix, contains or safe_regex")
    }
    pattern =
      switch name {
      case "exact": .exact(try member.string())
      case "prefix": .prefix(try member.nonEmpty())
      case "suffix": .suffix(try member.nonEmpty())
      case "contains": .contains(try member.nonEmpty())
      default: .regex(try SafeRegex(member))
      }
    ignoresCase = try message.bool("ignore_case")
    if ignoresCase, case .regex = pattern {
      throw try message.required("ignore_case").error("has no effect on safe_regex, which says (?i) itself")
    }
  }
}

extension JSONCursor {
  func nonEmpty() throws(FieldError) -> String {
    let text = try string()
    guard !text.isEmpty else { throw error("must not be empty") }
    return text
  }

  /// A header's name in lower case; a pseudo header's where that is allowed (RFC 9110, 5.6.2; RFC 9113, 8.3).
  func headerName(allowingPseudo: Bool = false) throws(FieldError) -> String {
    let name = try string().lowercased()
    let token = allowingPseudo && name.utf8.first == UInt8(ascii: ":") ? name.dropFirst() : name[...]
    guard token.isHTTPToken else { throw error("\"\(name)\" is no header name") }
    return name
  }
}

extension Substring {
  var isHTTPToken: Bool {
    !isEmpty
      && utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5E...0x7A, 0x7C, 0x7E: true
        default: "!#$%&'*+-.".utf8.contains(byte)
        }
      }
  }
}
