/// A set of names, indexed: names without stars are found by one lookup, the others are tried in order.
public struct NameRuleMatcher: Sendable {
  /// The set that was compiled.
  public let ruleSet: NameRuleSet
  private let exact: [String: Int]
  private let patterns: [Int]

  public init(_ ruleSet: NameRuleSet) {
    self.ruleSet = ruleSet
    var exact: [String: Int] = [:]
    var patterns: [Int] = []
    for (index, rule) in ruleSet.rules.enumerated() {
      if !rule.pattern.isExact {
        patterns.append(index)
      } else if exact[rule.pattern.text] == nil {
        exact[rule.pattern.text] = index
      }
    }
    self.exact = exact
    self.patterns = patterns
  }

  /// What the rules say about `name`, in the form of ``DNSNamePattern/matches(_:)``. The first rule that
  /// matches, in the order of the set, is the author.
  public func decide(_ name: String) -> NameDecision {
    let named = exact[name]
    for index in patterns where named.map({ index < $0 }) ?? true {
      if ruleSet.rules[index].pattern.matches(name) { return .allow(ruleID: ruleSet.rules[index].id) }
    }
    return named.map { .allow(ruleID: ruleSet.rules[$0].id) } ?? .deny
  }
}
