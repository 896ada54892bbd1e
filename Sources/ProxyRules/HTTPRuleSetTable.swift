/// The compiled form of a ``ProxyConfiguration``: what the proxy serves between two generations.
public struct HTTPRuleSetTable: Sendable {
  public let generation: UInt64
  public let authors: [UInt32: RuleAuthor]
  private let matchers: [UInt32: HTTPRuleMatcher]

  /// A table without rule sets: every lookup gives nil, so the proxy refuses what reaches it.
  public static let empty = HTTPRuleSetTable()

  private init() {
    generation = 0
    authors = [:]
    matchers = [:]
  }

  /// Compiles every set. A set that equals the one of the same id in `previous` is taken from there.
  public init(_ configuration: ProxyConfiguration, reusing previous: HTTPRuleSetTable? = nil) throws(HTTPRuleError) {
    generation = configuration.generation
    authors = configuration.authors
    var matchers: [UInt32: HTTPRuleMatcher] = [:]
    for set in configuration.ruleSets {
      if let matcher = previous?[set.id], matcher.ruleSet == set {
        matchers[set.id] = matcher
      } else {
        matchers[set.id] = try HTTPRuleMatcher(set)
      }
    }
    self.matchers = matchers
  }

  /// The matcher of a rule set; nil when the configuration has no such set, which must be treated as deny.
  public subscript(id: UInt32) -> HTTPRuleMatcher? { matchers[id] }
}
