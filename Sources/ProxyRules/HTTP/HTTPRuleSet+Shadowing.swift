import Automata

/// A rule that changes nothing, because another one allows all that it allows.
public struct ShadowedRule: Hashable, Sendable {
  public let ruleID: UInt32
  public let shadowedBy: UInt32
}

extension HTTPRuleSet {
  /// The rules that could be removed without a request being decided otherwise, in the order of the set; of two equal
  /// rules the later one. Takes time quadratic in the number of rules: meant for warnings, not for each update.
  public func shadowedRules() throws(RuleError) -> [ShadowedRule] {
    var automata = PatternCache()
    var parsed: [ParsedRule] = []
    for (index, rule) in rules.enumerated() {
      parsed.append(try ParsedRule(rule, RulePlace(ruleSetID: id, ruleID: rule.id, index: index)))
    }
    var result: [ShadowedRule] = []
    for (index, rule) in parsed.enumerated() {
      for (otherIndex, other) in parsed.enumerated() where otherIndex != index {
        guard try rule.implies(other, &automata) else { continue }
        // Of rules that imply each other one must stay: the first.
        if otherIndex > index, try other.implies(rule, &automata) { continue }
        result.append(ShadowedRule(ruleID: rule.place.ruleID, shadowedBy: other.place.ruleID))
        break
      }
    }
    return result
  }
}

/// Automata by pattern, made when first asked for.
private struct PatternCache {
  private var automata: [Regex: DFA] = [:]

  mutating func dfa(_ regex: Regex, _ place: RulePlace, _ field: String) throws(RuleError) -> DFA {
    if let known = automata[regex] { return known }
    do throws(DFATooLargeError) {
      let dfa = try DFA(regex)
      automata[regex] = dfa
      return dfa
    } catch {
      throw place.error(field, error.description)
    }
  }
}

extension ParsedRule {
  /// Whether `other` allows every request that this rule allows, and asks for the same changes.
  fileprivate func implies(_ other: ParsedRule, _ automata: inout PatternCache) throws(RuleError) -> Bool {
    // Header conditions are compared as they are written: fewer conditions allow more.
    guard other.required.allSatisfy({ required.contains($0) }) else { return false }
    guard other.wished == wished else { return false }
    let fields: [(String, Regex?, Regex?)] = [
      ("method", method, other.method), ("path", path, other.path), ("host", host, other.host),
    ]
    for (field, mine, theirs) in fields {
      guard let theirs, mine != theirs else { continue }
      guard let mine else { return false }
      let left = try automata.dfa(mine, place, field)
      let right = try automata.dfa(theirs, other.place, field)
      guard left.isSubset(of: right) else { return false }
    }
    return true
  }
}
