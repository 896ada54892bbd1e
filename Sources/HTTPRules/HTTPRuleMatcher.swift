import Automata

/// A rule set, compiled. Deciding allocates nothing and takes time linear in the request.
public struct HTTPRuleMatcher: Sendable {
  /// The set that was compiled.
  public let ruleSet: HTTPRuleSet

  /// Throws for the first regex or header that is not valid, naming its rule and field.
  public init(_ ruleSet: HTTPRuleSet) throws(HTTPRuleError) {
    self.ruleSet = ruleSet
  }

  /// What the rules say about a request. The first rule that matches, in the order of the set, is the author.
  public func decide(_ request: HTTPRequestFacts) -> HTTPDecision {
    ruleSet.rules.isEmpty ? .allow(ruleID: nil) : .deny
  }

  /// As ``decide(_:)-(HTTPRequestFacts)``, for a request that is only described.
  public func decide(_ request: HTTPRequestDescription) -> HTTPDecision {
    request.withFacts { decide($0) }
  }

  /// What is not as rule `ruleID` wants it in a request that the rule allows, in the order of its `headerMatches`.
  public func mismatches(of ruleID: UInt32, in request: HTTPRequestFacts) -> [HTTPHeaderMismatch] { [] }
}
