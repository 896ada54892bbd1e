import NodeAPI
import ProxyRules

/// What the rules of a redirected connection say of what is said on it: a request, a query for a name, or the
/// name of a server.
struct SpokenVerdict: Hashable {
  /// `http`, `dns` or `tls`.
  let stage: String
  let verdict: TraceResult.Verdict
  let reason: String
  /// The author; nil where no rule decided.
  let rule: UInt32?

  init(_ asked: Spoken, by set: RuleSet) throws(RuleError) {
    switch (asked, set.rules) {
    case (.http(let description), .http(let rules)):
      let set = HTTPRuleSet(id: set.id, rules: rules)
      self.init(try HTTPRuleMatcher(set).decide(description), of: set)
    case (.dns(let name), .dns(let rules)):
      self.init(
        NameRuleMatcher(NameRuleSet(id: set.id, rules: rules)).decide(name), stage: asked.stage,
        allowed: "a DNS rule matches the name",
        denied: "none of the \(rules.count) DNS rules matches the name: it is answered REFUSED")
    case (.tls(let name), .tls(let rules)):
      self.init(
        NameRuleMatcher(NameRuleSet(id: set.id, rules: rules)).decide(name), stage: asked.stage,
        allowed: "a server name matches",
        denied: "none of the \(rules.count) server names matches: the client gets the alert access_denied")
    default:
      self.init(
        stage: asked.stage, verdict: .denied,
        reason: "its rules read \(set.kind.rawValue.uppercased()), and \(asked.description) is none of it", rule: nil)
    }
  }

  private init(stage: String, verdict: TraceResult.Verdict, reason: String, rule: UInt32?) {
    self.stage = stage
    self.verdict = verdict
    self.reason = reason
    self.rule = rule
  }

  private init(_ decision: HTTPDecision, of set: HTTPRuleSet) {
    switch decision {
    case .deny:
      self.init(
        stage: "http", verdict: .denied, reason: "none of the \(set.rules.count) HTTP rules matches the request",
        rule: nil)
    case .allow(let rule): self.init(allowedBy: rule)
    case .allowWithMismatches(let rule): self.init(allowedBy: rule)
    }
  }

  private init(allowedBy rule: UInt32?) {
    self.init(stage: "http", verdict: .allowed, reason: "an HTTP rule matches the request", rule: rule)
  }

  private init(_ decision: NameDecision, stage: String, allowed: String, denied: String) {
    switch decision {
    case .deny: self.init(stage: stage, verdict: .denied, reason: denied, rule: nil)
    case .allow(let rule): self.init(stage: stage, verdict: .allowed, reason: allowed, rule: rule)
    }
  }
}

/// What a question says on its connection.
enum Spoken {
  case http(HTTPRequestDescription)
  /// A name in the form of ``DNSNamePattern/matches(_:)``.
  case dns(String)
  /// As `dns`, of the server that a ClientHello asks for.
  case tls(String)

  var stage: String {
    switch self {
    case .http: "http"
    case .dns: "dns"
    case .tls: "tls"
    }
  }

  var description: String {
    switch self {
    case .http: "an HTTP request"
    case .dns: "a DNS query"
    case .tls: "a ClientHello"
    }
  }
}

extension TraceRequest {
  /// nil: nothing.
  var spoken: Spoken? {
    func canonical(_ text: String) -> String {
      let name = text.lowercased()
      return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
    if let serverName { return .tls(canonical(serverName)) }
    if let query { return .dns(canonical(query)) }
    return method.map { method in
      .http(
        HTTPRequestDescription(
          method: method, path: path ?? "/", host: headers.first { $0.key.lowercased() == "host" }?.value,
          headers: headers.map { (name: $0.key, value: $0.value) }))
    }
  }
}

extension Spoken {
  /// What is said of a rule that allows it.
  var match: String {
    switch self {
    case .http: "the request matches"
    case .dns, .tls: "the name matches"
    }
  }
}

extension RuleSet {
  /// What keeps each rule from allowing what is said, for people to read; nothing keeps the rule that allows it.
  func differences(from spoken: Spoken) throws(RuleError) -> [(rule: UInt32, differences: [String])] {
    var found: [(rule: UInt32, differences: [String])] = []
    switch spoken {
    case .http(let request):
      for rule in http?.rules ?? [] { found.append((rule.id, try rule.differences(from: request))) }
    case .dns(let name):
      for rule in dns?.rules ?? [] { found.append((rule.id, rule.differences(from: name))) }
    case .tls(let name):
      for rule in tls?.rules ?? [] { found.append((rule.id, rule.differences(from: name))) }
    }
    return found
  }
}

extension NameRule {
  fileprivate func differences(from name: String) -> [String] {
    pattern.matches(name) ? [] : ["the name is \(name), not \(pattern)"]
  }
}
