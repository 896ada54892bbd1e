import ProxyRules

extension Worker {
  /// Who serves a new connection when its rule set is not one of HTTP.
  func taker(_ policy: ConnectionPolicy?) -> (any ConnectionTaker)? {
    refreshTable()
    guard let policy, !shared.takers.isEmpty else { return nil }
    return table.kind(policy.proxyRules).flatMap { shared.takers[$0] }
  }

  private func refreshTable() {
    guard shared.rules.currentVersion != tableVersion else { return }
    (tableVersion, table) = shared.rules.versioned
    recent = RecentMatcher()
    recentOfEgress = RecentMatcher()
  }

  /// Makes the connection's policy that of now: to be called before the request in `head` is judged.
  func refreshPolicy(_ c: ConnectionPointer) {
    refreshTable()
    if c.pointee.policy.listener != 0 { return refreshRouted(c) }
    guard c.pointee.isResolved, c.pointee.generation == tableVersion,
      c.pointee.policy.revision == shared.resolver.revision, hasMatchers(c.pointee.policy)
    else { return resolve(c) }
  }

  private func hasMatchers(_ policy: ConnectionPolicy) -> Bool {
    (policy.proxyRules == 0 || recent.isOf(policy.proxyRules, table))
      && (policy.egressProxyRules == 0 || recentOfEgress.isOf(policy.egressProxyRules, table))
  }

  /// Decides about the request in `head` by the client's own rules, where the server's bind as well.
  func judgeEgress(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) -> HTTPDecision {
    judgeEgress(c, facts: requestFacts(bytes))
  }

  func judgeEgress(_ c: ConnectionPointer, facts: HTTPRequestFacts) -> HTTPDecision {
    let policy = c.pointee.policy
    return judge(c, facts, policy.egressProxyRules, isAudit: policy.isEgressAudit, &recentOfEgress)
  }

  /// Decides about the request in `head` by the rules of the connection, the client's own apart if there are two sets.
  func judge(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) -> HTTPDecision {
    judge(c, facts: requestFacts(bytes))
  }

  func judge(_ c: ConnectionPointer, facts: HTTPRequestFacts) -> HTTPDecision {
    if c.pointee.policy.proxyRules == 0 { return .allow(ruleID: nil) }
    let policy = c.pointee.policy
    return judge(c, facts, policy.proxyRules, isAudit: policy.isAudit, &recent)
  }

  private func judge(
    _ c: ConnectionPointer, _ facts: HTTPRequestFacts, _ set: UInt32, isAudit: Bool, _ recent: inout RecentMatcher
  ) -> HTTPDecision {
    let decision = recent.isOf(set, table) ? recent.matcher?.decide(facts) ?? .deny : .deny
    // What the first of two sets had to remark is worth more than that the second had nothing to.
    if case .allow = decision, c.pointee.isAudited || c.pointee.mismatches != 0 { return decision }
    c.pointee.judgedBy = set
    c.pointee.isEgress = recent.isEgress
    c.pointee.isAudited = decision == .deny && isAudit
    c.pointee.mismatches = 0
    switch decision {
    case .allow(let rule): c.pointee.rule = rule ?? 0
    case .allowWithMismatches(let rule): c.pointee.rule = rule
    case .deny:
      c.pointee.rule = 0
      if isAudit { return .allow(ruleID: nil) }
    }
    return decision
  }

  func resolve(_ c: ConnectionPointer) {
    adopt(
      shared.resolver.resolve(
        client: c.pointee.clientAddress, server: c.pointee.serverAddress, transport: .tcp), c)
  }

  /// Takes what the resolver has just found for a connection.
  func adopt(_ policy: ConnectionPolicy?, _ c: ConnectionPointer) {
    c.pointee.policy = policy ?? .denied
    c.pointee.dialsAsNode = false
    c.pointee.isResolved = c.pointee.policy != .denied
    c.pointee.generation = tableVersion
  }

  func requestFacts(_ bytes: UnsafeMutablePointer<UInt8>) -> HTTPRequestFacts {
    head.facts(bytes, fields, facts)
  }
}

extension RequestHead {
  /// The request as rules and routes see it; `storage` holds what is said about its fields.
  @inline(__always)
  func facts(
    _ bytes: UnsafePointer<UInt8>, _ fields: FieldSection, _ storage: UnsafeMutablePointer<HTTPHeaderFacts>
  ) -> HTTPRequestFacts {
    func view(_ range: ByteRange) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: bytes + range.start, count: range.count)
    }
    return HTTPRequestFacts(
      method: view(method), path: view(path), host: host.count > 0 ? view(host) : nil,
      headers: fields.facts(bytes, storage))
  }
}

extension FieldSection {
  /// The fields as rules and routes see them, in `storage`.
  @inline(__always)
  func facts(
    _ bytes: UnsafePointer<UInt8>, _ storage: UnsafeMutablePointer<HTTPHeaderFacts>
  ) -> UnsafeBufferPointer<HTTPHeaderFacts> {
    func view(_ range: ByteRange) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: bytes + range.start, count: range.count)
    }
    let lines = self.lines
    for index in 0..<lines.count {
      (storage + index).initialize(to: HTTPHeaderFacts(name: view(lines[index].name), value: view(lines[index].value)))
    }
    return UnsafeBufferPointer(start: storage, count: lines.count)
  }
}

/// The matcher that was asked last, which most often is asked again.
struct RecentMatcher {
  private var set: UInt32 = 0
  private(set) var matcher: HTTPRuleMatcher?
  private(set) var isEgress = false

  /// Makes it that of `set`, by the table at hand; false when the table has no such set.
  mutating func isOf(_ set: UInt32, _ table: RuleSetTable) -> Bool {
    if matcher == nil || self.set != set {
      self.set = set
      matcher = table.http(set)
      isEgress = table.isEgress(set)
    }
    return matcher != nil
  }
}
