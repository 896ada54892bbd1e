/// The protocol that a rule set reads: each has an engine of its own in the proxy.
public enum RuleKind: String, Hashable, Sendable, CaseIterable {
  case http
  case dns
  /// The server's name in the ClientHello, which is all of TLS that is read.
  case tls
}

/// Rules of one protocol, in the order of the policies: the first that matches is the author of the decision.
public enum RuleList: Hashable, Sendable {
  case http([HTTPRule])
  case dns([NameRule])
  case tls([NameRule])

  public var kind: RuleKind {
    switch self {
    case .http: .http
    case .dns: .dns
    case .tls: .tls
    }
  }

  /// The ids of the rules, in their order.
  public var ids: [UInt32] {
    switch self {
    case .http(let rules): rules.map(\.id)
    case .dns(let rules), .tls(let rules): rules.map(\.id)
    }
  }

  /// The rules of several lists, each said once; the first to say it is the author. Lists of another protocol than the
  /// first are left out: one connection speaks one, and what only they would allow stays denied.
  public static func union(_ lists: [RuleList]) -> RuleList? {
    guard let first = lists.first else { return nil }
    return switch first {
    case .http:
      .http(distinct(lists.flatMap { if case .http(let rules) = $0 { rules } else { [] as [HTTPRule] } }, \.id))
    case .dns:
      .dns(distinct(lists.flatMap { if case .dns(let rules) = $0 { rules } else { [] as [NameRule] } }, \.id))
    case .tls:
      .tls(distinct(lists.flatMap { if case .tls(let rules) = $0 { rules } else { [] as [NameRule] } }, \.id))
    }
  }

  private static func distinct<Rule: Hashable>(_ rules: [Rule], _ id: WritableKeyPath<Rule, UInt32>) -> [Rule] {
    var seen: Set<Rule> = []
    return rules.filter { rule in
      var anonymous = rule
      anonymous[keyPath: id] = 0
      return seen.insert(anonymous).inserted
    }
  }
}

/// The rules for the traffic that one policy verdict redirects to the proxy.
public struct RuleSet: Hashable, Sendable {
  /// The number that the kernel hands over with a redirected connection.
  public var id: UInt32
  public var rules: RuleList

  public init(id: UInt32, rules: RuleList) {
    self.id = id
    self.rules = rules
  }

  public init(_ set: HTTPRuleSet) { self.init(id: set.id, rules: .http(set.rules)) }

  public var kind: RuleKind { rules.kind }

  /// The set as one of HTTP; nil when it is of another protocol.
  public var http: HTTPRuleSet? {
    if case .http(let rules) = rules { HTTPRuleSet(id: id, rules: rules) } else { nil }
  }

  /// The set as one of DNS; nil when it is of another protocol.
  public var dns: NameRuleSet? {
    if case .dns(let rules) = rules { NameRuleSet(id: id, rules: rules) } else { nil }
  }

  /// The set as one of TLS; nil when it is of another protocol.
  public var tls: NameRuleSet? {
    if case .tls(let rules) = rules { NameRuleSet(id: id, rules: rules) } else { nil }
  }
}
