/// Why a text is not a regular expression of RE2's syntax, and where.
public struct RegexSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The whole text that was parsed.
  public let pattern: String
  /// Where the part that is wrong begins: a byte offset into the UTF-8 of `pattern`.
  public let offset: Int
  /// What is wrong, in lower case, without the place.
  public let message: String

  public init(pattern: String, offset: Int, message: String) {
    self.pattern = pattern
    self.offset = offset
    self.message = message
  }

  public var description: String { "invalid regular expression \"\(pattern)\": \(message) at byte \(offset)" }
}
