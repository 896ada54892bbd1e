/// The compiled form of a ``ProxyConfiguration``: what the proxy serves between two generations.
public struct RuleSetTable: Sendable {
  public let generation: UInt64
  public let authors: [UInt32: RuleAuthor]
  private let matchers: [UInt32: Matcher]
  private let egressSets: Set<UInt32>

  private enum Matcher: Sendable {
    case http(HTTPRuleMatcher)
    case dns(NameRuleMatcher)
    case tls(NameRuleMatcher)
  }

  /// A table without rule sets: every lookup gives nil, so the proxy refuses what reaches it.
  public static let empty = RuleSetTable()

  private init() {
    generation = 0
    authors = [:]
    matchers = [:]
    egressSets = []
  }

  /// Compiles every set. A set that equals the one of the same id in `previous` is taken from there.
  public init(_ configuration: ProxyConfiguration, reusing previous: RuleSetTable? = nil) throws(RuleError) {
    generation = configuration.generation
    authors = configuration.authors
    var matchers: [UInt32: Matcher] = [:]
    for set in configuration.ruleSets {
      let known = previous?.matchers[set.id]
      switch set.rules {
      case .http(let rules):
        let set = HTTPRuleSet(id: set.id, rules: rules)
        if case .http(let matcher)? = known, matcher.ruleSet == set {
          matchers[set.id] = known
        } else {
          matchers[set.id] = .http(try HTTPRuleMatcher(set))
        }
      case .dns(let rules):
        let set = NameRuleSet(id: set.id, rules: rules)
        if case .dns(let matcher)? = known, matcher.ruleSet == set {
          matchers[set.id] = known
        } else {
          matchers[set.id] = .dns(NameRuleMatcher(set))
        }
      case .tls(let rules):
        let set = NameRuleSet(id: set.id, rules: rules)
        if case .tls(let matcher)? = known, matcher.ruleSet == set {
          matchers[set.id] = known
        } else {
          matchers[set.id] = .tls(NameRuleMatcher(set))
        }
      }
    }
    self.matchers = matchers
    egressSets = Set(
      configuration.ruleSets.filter { set in
        set.rules.ids.contains { configuration.authors[$0]?.path.contains(".egress[") ?? false }
      }.map(\.id))
  }

  /// Whether a rule set is the initiator's, by where its rules are written.
  public func isEgress(_ id: UInt32) -> Bool { egressSets.contains(id) }

  /// The protocol of a rule set; nil when the configuration has no such set, which must be treated as deny.
  public func kind(_ id: UInt32) -> RuleKind? {
    switch matchers[id] {
    case .http: .http
    case .dns: .dns
    case .tls: .tls
    case nil: nil
    }
  }

  /// The matcher of an HTTP rule set; nil, which must be treated as deny, when there is no such set of HTTP.
  public func http(_ id: UInt32) -> HTTPRuleMatcher? {
    if case .http(let matcher) = matchers[id] { matcher } else { nil }
  }

  /// The matcher of a DNS rule set; nil, which must be treated as deny, when there is no such set of DNS.
  public func dns(_ id: UInt32) -> NameRuleMatcher? {
    if case .dns(let matcher) = matchers[id] { matcher } else { nil }
  }

  /// The matcher of a TLS rule set; nil, which must be treated as deny, when there is no such set of TLS.
  public func tls(_ id: UInt32) -> NameRuleMatcher? {
    if case .tls(let matcher) = matchers[id] { matcher } else { nil }
  }
}
