import ProxyRules

/// What the rule sets of a connection say of a name that is asked for on it. The client's own is asked first; with two
/// sets a name passes that both let pass.
struct NameJudgement {
  /// The rule set that decided; 0 when the connection has none.
  private(set) var set: UInt32
  /// The rule that allowed; 0 for none.
  private(set) var rule: UInt32 = 0
  private(set) var isDenied = false
  /// It would have been denied, but for audit mode.
  private(set) var isAudited = false

  /// - Parameter matcher: of a rule set; nil, which denies, where it is none of the protocol at hand.
  init(_ name: String?, by policy: ConnectionPolicy, matcher: (UInt32) -> NameRuleMatcher?) {
    set = policy.proxyRules
    if policy.egressProxyRules != 0 { ask(policy.egressProxyRules, name, policy.isEgressAudit, matcher) }
    if policy.proxyRules != 0, !isDenied { ask(policy.proxyRules, name, policy.isAudit, matcher) }
  }

  private mutating func ask(
    _ set: UInt32, _ name: String?, _ isAudit: Bool, _ matcher: (UInt32) -> NameRuleMatcher?
  ) {
    if let name, case .allow(let author)? = matcher(set)?.decide(name) {
      // What the first of two sets would have refused is told, rather than that the second allows it.
      if !isAudited { (self.set, rule) = (set, author) }
      return
    }
    (self.set, rule, isDenied, isAudited) = (set, 0, !isAudit, isAudit)
  }
}
