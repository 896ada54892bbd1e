import Automata

/// A rule set, compiled. Deciding allocates nothing and takes time linear in the request.
public struct HTTPRuleMatcher: Sendable {
  /// The set that was compiled.
  public let ruleSet: HTTPRuleSet
  /// The rules in order, as many together as fit into one automaton for each field.
  private let chunks: [RuleChunk]

  /// Throws for the first regex or header that is not valid, naming its rule and field.
  public init(_ ruleSet: HTTPRuleSet) throws(RuleError) {
    self.ruleSet = ruleSet
    chunks = try RuleChunk.compile(ruleSet)
  }

  /// What the rules say about a request. The first rule that matches, in the order of the set, is the author. A path with
  /// segments `.` or `..` matches where it does as it was sent and as it is resolved (RFC 3986, 5.2.4); one that servers
  /// resolve differently matches no rule about paths.
  public func decide(_ request: HTTPRequestFacts) -> HTTPDecision {
    if chunks.isEmpty { return .allow(ruleID: nil) }
    return ResolvedPath.of(request.path) { path in
      for chunk in chunks {
        let decision = chunk.decide(request, path)
        if decision != .deny { return decision }
      }
      return .deny
    }
  }

  /// What the rules say about a request that is only described.
  public func decide(_ request: HTTPRequestDescription) -> HTTPDecision {
    request.withFacts { decide($0) }
  }

  /// What is not as rule `ruleID` wants it in a request that the rule allows, in the order of its `headerMatches`.
  public func mismatches(of ruleID: UInt32, in request: HTTPRequestFacts) -> [HTTPHeaderMismatch] {
    guard let rule = ruleSet.rules.first(where: { $0.id == ruleID }) else { return [] }
    return rule.headerMatches.enumerated().compactMap { index, match in
      guard let action = match.mismatch, !HeaderCondition(match).holds(for: request.headers) else { return nil }
      return HTTPHeaderMismatch(index: index, name: match.name, value: match.value, action: action)
    }
  }

  /// How many automata a request passes through, and what they occupy in bytes.
  public var cost: (automata: Int, bytes: Int) {
    chunks.reduce((0, 0)) { ($0.0 + $1.cost.automata, $0.1 + $1.cost.bytes) }
  }
}
