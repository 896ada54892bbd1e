import Flows
import KubernetesAPI
import Policy
import ProxyRules

/// Judges what is said on connections that the proxy reads: requests, queries for names, names of servers. Keeps the rules
/// compiled, as long as they are the same.
struct RequestAudit {
  private struct Known {
    let set: RuleSet
    let rules: SpokenRules
  }

  private var generation: UInt64 = 0
  private var known: [UInt32: Known] = [:]
  private var found: [AuditedSide: (set: RuleSet, objects: [ObjectKey])?] = [:]

  mutating func follow(_ generation: UInt64) {
    guard self.generation != generation else { return }
    self.generation = generation
    found.removeAll(keepingCapacity: true)
  }

  mutating func denials(_ flow: Flow, _ book: AuditBook) -> [AuditBook.Denial] {
    flow.sides(book).compactMap { side in
      guard let (set, objects) = ruleSet(side, book), !rules(set).allow(flow) else { return nil }
      return AuditBook.Denial(direction: side.direction, cause: .noRule, objects: objects)
    }
  }

  private mutating func ruleSet(_ side: AuditedSide, _ book: AuditBook) -> (set: RuleSet, objects: [ObjectKey])? {
    if let known = found[side] { return known }
    let asked = book.ruleSet(
      of: side.subject, side.direction, peer: side.peer, protocol: side.ipProtocol, port: side.port)
    if found.count >= 8192 { found.removeAll(keepingCapacity: true) }
    found[side] = .some(asked)
    return asked
  }

  private mutating func rules(_ set: RuleSet) -> SpokenRules {
    if let known = known[set.id], known.set == set { return known.rules }
    let rules = SpokenRules(set)
    if known.count >= 1024 { known = [:] }
    known[set.id] = Known(set: set, rules: rules)
    return rules
  }
}

/// A rule set, ready to be asked about flows.
enum SpokenRules {
  case http(HTTPRuleMatcher)
  case dns(NameRuleMatcher)
  case tls(NameRuleMatcher)
  /// A pattern that can not be read matches nothing, and has been told of in the policy's status.
  case nothing

  /// Flows carry no headers: what a rule asks of them is taken for given, so that no request is told of that may be
  /// allowed.
  init(_ set: RuleSet) {
    switch set.rules {
    case .http(let rules):
      let bare = rules.map { HTTPRule(id: $0.id, method: $0.method, path: $0.path, host: $0.host) }
      let matcher = try? HTTPRuleMatcher(HTTPRuleSet(id: set.id, rules: bare))
      self = matcher.map { .http($0) } ?? .nothing
    case .dns(let rules): self = .dns(NameRuleMatcher(NameRuleSet(id: set.id, rules: rules)))
    case .tls(let rules): self = .tls(NameRuleMatcher(NameRuleSet(id: set.id, rules: rules)))
    }
  }

  /// Whether they let pass what a flow tells of; what is of another protocol they do not.
  func allow(_ flow: Flow) -> Bool {
    switch self {
    case .http(let matcher): flow.http.map { matcher.decide($0.request) != .deny } ?? false
    case .dns(let matcher):
      flow.dns.map { dns in
        matcher.decide(dns.query.hasSuffix(".") ? String(dns.query.dropLast()) : dns.query) != .deny
      } ?? false
    case .tls(let matcher): flow.serverName.map { matcher.decide($0) != .deny } ?? false
    case .nothing: false
    }
  }
}
