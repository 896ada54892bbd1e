import Automata
import JSON

/// `envoy.type.matcher.v3.RegexMatcher`: an expression of RE2's that must match all of a text.
public struct SafeRegex: Sendable {
  public let regex: Regex
  /// Where it is written.
  let path: String

  static let fields = MessageFields(
    "envoy.type.matcher.v3.RegexMatcher", read: ["regex"], withoutEffect: ["google_re2"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    // The one field that it ever had limits what Envoy accepts; a limit that is not applied must not be accepted.
    try message.member("google_re2")?.allowOnly([])
    let text = try message.name("regex")
    path = cursor.path
    do throws(RegexSyntaxError) {
      regex = try Regex(parsing: text)
    } catch {
      throw try message.required("regex").error(error.description)
    }
  }

  /// The automaton that matches all of a text.
  func automaton() throws(FieldError) -> DFA {
    do throws(DFATooLargeError) {
      return try DFA(regex)
    } catch {
      throw FieldError(path: "\(path).regex", message: error.description)
    }
  }
}

extension SafeRegex: Hashable {
  public static func == (left: SafeRegex, right: SafeRegex) -> Bool { left.regex == right.regex }
  public func hash(into hasher: inout Hasher) { hasher.combine(regex) }
}

/// `envoy.type.matcher.v3.RegexMatchAndSubstitute`: every match in a text is replaced, with `\1` for what the first group
/// matched.
public struct RegexSubstitution: Sendable {
  public let pattern: SafeRegex
  public let substitution: String
  let replacement: RegexReplacement

  static let fields = MessageFields(
    "envoy.type.matcher.v3.RegexMatchAndSubstitute", read: ["pattern", "substitution"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    pattern = try SafeRegex(try message.required("pattern"))
    substitution = try message.member("substitution")?.target() ?? ""
    do throws(RegexReplacementError) {
      replacement = try RegexReplacement(of: pattern.regex, with: substitution)
    } catch {
      throw (message.member("substitution") ?? cursor).error(error.description)
    }
  }
}

extension RegexSubstitution: Hashable {
  public static func == (left: RegexSubstitution, right: RegexSubstitution) -> Bool {
    left.pattern == right.pattern && left.substitution == right.substitution
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(pattern)
    hasher.combine(substitution)
  }
}
