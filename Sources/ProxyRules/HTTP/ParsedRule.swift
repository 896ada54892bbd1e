import Automata

/// Where an error is.
struct RulePlace: Sendable {
  let ruleSetID: UInt32
  let ruleID: UInt32
  let index: Int

  func error(_ field: String, _ message: String) -> RuleError {
    RuleError(ruleSetID: ruleSetID, ruleID: ruleID, ruleIndex: index, field: field, message: message)
  }
}

/// A rule whose texts have been checked.
struct ParsedRule {
  let place: RulePlace
  let method: Regex?
  let path: Regex?
  let host: Regex?
  let required: [HeaderCondition]
  let wished: [HeaderCondition]

  init(_ rule: HTTPRule, _ place: RulePlace) throws(RuleError) {
    self.place = place
    method = try ParsedRule.regex(rule.method, "method", place)
    path = try ParsedRule.regex(rule.path, "path", place)
    host = try ParsedRule.regex(rule.host, "host", place)
    var required: [HeaderCondition] = []
    var wished: [HeaderCondition] = []
    for (index, text) in rule.headers.enumerated() {
      guard let condition = HeaderCondition(parsing: text) else {
        throw place.error("headers[\(index)]", "\"\(text)\" does not begin with a header name")
      }
      required.append(condition)
    }
    for (index, match) in rule.headerMatches.enumerated() {
      guard HeaderCondition.isToken(match.name) else {
        throw place.error("headerMatches[\(index)].name", "\"\(match.name)\" is no header name")
      }
      // ADD and REPLACE write the value into the request: a line break in it would smuggle a header in.
      guard match.value.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
        throw place.error("headerMatches[\(index)].value", "control character in a header value")
      }
      let condition = HeaderCondition(match)
      if match.mismatch == nil { required.append(condition) } else { wished.append(condition) }
    }
    self.required = required
    self.wished = wished
  }

  private static func regex(
    _ pattern: String?, _ field: String, _ place: RulePlace
  ) throws(RuleError) -> Regex? {
    guard let pattern, !pattern.isEmpty else { return nil }
    do throws(RegexSyntaxError) {
      return try Regex(parsing: pattern)
    } catch {
      throw place.error(field, error.description)
    }
  }
}
