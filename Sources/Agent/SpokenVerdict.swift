import NodeAPI
import ProxyRules

/// What the rules of a redirected connection say of what is said on it: a request, or a query for a name.
struct SpokenVerdict: Hashable {
  /// `http` or `dns`.
  let stage: String
  let verdict: TraceResult.Verdict
  let reason: String
  /// The author; nil where no rule decided.
  let rule: UInt32?

  init(_ asked: Spoken, by set: RuleSet) throws(RuleError) {
    switch (asked, set.http, set.dns) {
    case (.http(let description), let rules?, _):
      self.init(try HTTPRuleMatcher(rules).decide(description), of: rules)
    case (.dns(let name), _, let rules?): self.init(NameRuleMatcher(rules).decide(name), of: rules)
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

  private init(_ decision: NameDecision, of set: NameRuleSet) {
    switch decision {
    case .deny:
      self.init(
        stage: "dns", verdict: .denied,
        reason: "none of the \(set.rules.count) DNS rules matches the name: it is answered REFUSED", rule: nil)
    case .allow(let rule):
      self.init(stage: "dns", verdict: .allowed, reason: "a DNS rule matches the name", rule: rule)
    }
  }
}

/// What a question says on its connection.
enum Spoken {
  case http(HTTPRequestDescription)
  /// A name in the form of ``DNSNamePattern/matches(_:)``.
  case dns(String)

  var stage: String {
    switch self {
    case .http: "http"
    case .dns: "dns"
    }
  }

  var description: String {
    switch self {
    case .http: "an HTTP request"
    case .dns: "a DNS query"
    }
  }
}

extension TraceRequest {
  /// nil: nothing.
  var spoken: Spoken? {
    if let query {
      let name = query.lowercased()
      return .dns(name.hasSuffix(".") ? String(name.dropLast()) : name)
    }
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
    case .dns: "the name matches"
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
      for rule in dns?.rules ?? [] {
        found.append((rule.id, rule.pattern.matches(name) ? [] : ["the name is \(name), not \(rule.pattern)"]))
      }
    }
    return found
  }
}
