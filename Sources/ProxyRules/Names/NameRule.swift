import JSON

/// One name, or pattern of names, that may be asked for: an entry of `rules.dns` or of `serverNames`.
public struct NameRule: Hashable, Sendable {
  /// The author of what this rule decides; see ``ProxyConfiguration/authors``.
  public var id: UInt32
  public var pattern: DNSNamePattern

  public init(id: UInt32, pattern: DNSNamePattern) {
    self.id = id
    self.pattern = pattern
  }
}

/// The names for the traffic that one policy verdict redirects: what asks for one of them is allowed.
public struct NameRuleSet: Hashable, Sendable {
  /// The number that the kernel hands over with a redirected connection.
  public var id: UInt32
  /// In the order of the policies; the first that matches is the author of the decision. Empty: nothing is allowed.
  public var rules: [NameRule]

  public init(id: UInt32, rules: [NameRule]) {
    self.id = id
    self.rules = rules
  }
}

/// What a rule set says about a query, or about a TLS connection.
public enum NameDecision: Hashable, Sendable {
  /// Ask the server. The id is of the rule that allows.
  case allow(ruleID: UInt32)
  /// Refuse: no rule matches.
  case deny
}

extension NameRule {
  public init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["id", "pattern"])
    self.init(
      id: try cursor.required("id").number32(), pattern: DNSNamePattern(try cursor.required("pattern").string()))
  }

  public var json: JSONValue { ["id": .integer(Int64(id)), "pattern": .string(pattern.text)] }
}
