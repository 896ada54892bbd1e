/// A regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax), parsed and checked.
///
/// A regex is only a description; ``DFA`` matches. Matching is on bytes: what the pattern says about characters, it says
/// about their UTF-8. Bytes that are no UTF-8 match nothing but `\C` (so `.` and `[^a]` refuse them); unlike RE2, which
/// tolerates them after E0, F0 and F4, overlong forms and surrogates count as no UTF-8 too.
///
///     let regex = try Regex(parsing: "/api/v[0-9]+/.*")
///     try DFA(regex).matchesFully("/api/v1/users")  // true
public struct Regex: Hashable, Sendable {
  /// The text as it was written.
  public let pattern: String
  let root: RegexNode

  public init(parsing pattern: String) throws(RegexSyntaxError) {
    var parser = RegexParser(pattern)
    self.pattern = pattern
    self.root = try parser.parse()
  }

  /// The regex that matches `text` and nothing else.
  public init(literal text: String) {
    var pattern = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isPlain = !scalar.isASCII || scalar.properties.isAlphabetic || "0"..."9" ~= scalar
      if !isPlain { pattern.append("\\") }
      pattern.append(scalar)
    }
    self.pattern = String(pattern)
    self.root = .concatenation(text.unicodeScalars.map { .scalar(ScalarSet($0.value...$0.value)) })
  }

  public static func == (left: Regex, right: Regex) -> Bool { left.pattern == right.pattern }
  public func hash(into hasher: inout Hasher) { hasher.combine(pattern) }
}

extension Regex: CustomStringConvertible {
  public var description: String { pattern }
}

/// The syntax tree. Capturing groups and lazy repetitions matter only to ``RegexReplacement``: they never change whether a
/// text matches.
indirect enum RegexNode: Sendable {
  case empty
  /// One character out of a set.
  case scalar(ScalarSet)
  /// `\C`: one byte, whatever it is.
  case anyByte
  case assertion(Assertion)
  case concatenation([RegexNode])
  case alternation([RegexNode])
  /// Between `minimum` and `maximum` times; any number of times from `minimum` on when `maximum` is nil.
  case repetition(RegexNode, minimum: Int, maximum: Int?)
  /// A repetition that prefers to end early.
  case lazy(RegexNode)
  /// A capturing group by its number, from 1 on.
  case group(Int, RegexNode)
}

/// A condition on the place between two bytes.
enum Assertion: UInt8, Sendable {
  case beginText, endText, beginLine, endLine, wordBoundary, notWordBoundary
}
