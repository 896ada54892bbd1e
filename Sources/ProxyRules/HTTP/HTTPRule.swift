/// What one entry of `rules.http` of a CiliumNetworkPolicy allows. Every field that is given must match.
///
/// `method`, `path` and `host` are regular expressions in RE2's syntax (``Automata/Regex``) that must match the whole
/// value; one that is nil or empty asks for nothing.
public struct HTTPRule: Hashable, Sendable, Codable {
  /// The author of what this rule decides; see ``ProxyConfiguration/authors``.
  public var id: UInt32
  /// On the method, byte for byte: `get` is not `GET`.
  public var method: String?
  /// On the request target's path with its query string, as it was sent: `/a?b=c`, no percent decoding.
  public var path: String?
  /// On the Host header as it was sent, port and case included, as Envoy matches `:authority`. Lower-casing it would
  /// make patterns with upper-case letters match nothing; a client that writes the host in an unusual case is refused.
  public var host: String?
  /// Headers that must be there: `X-Token` with any value, `X-Token: secret` with exactly this value. Names ignore
  /// case. The values of a header that is sent several times are joined by `,` first, as Envoy does.
  public var headers: [String]
  /// Headers whose mismatch has a consequence of its own.
  public var headerMatches: [HTTPHeaderMatch]

  public init(
    id: UInt32, method: String? = nil, path: String? = nil, host: String? = nil, headers: [String] = [],
    headerMatches: [HTTPHeaderMatch] = []
  ) {
    self.id = id
    self.method = method
    self.path = path
    self.host = host
    self.headers = headers
    self.headerMatches = headerMatches
  }
}

/// A header that should have a value, and what happens when it has not.
public struct HTTPHeaderMatch: Hashable, Sendable, Codable {
  /// What to do with a request whose header is absent or has another value. In each of these cases the rule still
  /// matches.
  public enum Mismatch: String, Hashable, Sendable, Codable, CaseIterable {
    /// Write it into the access log.
    case log = "LOG"
    /// Add a header of the expected value, leaving others alone.
    case add = "ADD"
    /// Remove the header.
    case delete = "DELETE"
    /// Set the header to the expected value.
    case replace = "REPLACE"
  }

  public var name: String
  /// The whole expected value; empty: any value will do, but the header must be there.
  public var value: String
  /// Nil: the rule does not match.
  public var mismatch: Mismatch?

  public init(name: String, value: String = "", mismatch: Mismatch? = nil) {
    self.name = name
    self.value = value
    self.mismatch = mismatch
  }
}

/// The rules for the traffic that one policy verdict redirects: a request is allowed when one of them matches.
public struct HTTPRuleSet: Hashable, Sendable, Codable {
  /// The number that the kernel hands over with a redirected connection.
  public var id: UInt32
  /// In the order of the policies; the first that matches is the author of the decision. Empty: all is allowed.
  public var rules: [HTTPRule]

  public init(id: UInt32, rules: [HTTPRule]) {
    self.id = id
    self.rules = rules
  }
}

/// What a rule set says about a request.
public enum HTTPDecision: Hashable, Sendable {
  /// Forward it. The id is of the rule that allows; nil when the set has no rules and so allows everything.
  case allow(ruleID: UInt32?)
  /// Forward it after doing what ``HTTPRuleMatcher/mismatches(of:in:)`` lists for this rule and request.
  case allowWithMismatches(ruleID: UInt32)
  /// Answer 403: no rule matches.
  case deny
}

/// A header of an allowed request that is not as its rule wants it.
public struct HTTPHeaderMismatch: Hashable, Sendable {
  /// Its place in the rule's `headerMatches`.
  public let index: Int
  public let name: String
  public let value: String
  public let action: HTTPHeaderMatch.Mismatch
}
