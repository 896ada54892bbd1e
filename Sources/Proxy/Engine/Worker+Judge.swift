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
    lastMatcher = nil
  }

  /// Decides about the request in `head` by the rules in force now.
  func judge(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) -> HTTPDecision {
    refreshTable()
    var isFresh = false
    if !c.pointee.isResolved || c.pointee.generation != tableVersion
      || c.pointee.policy.revision != shared.resolver.revision
    {
      resolve(c)
      isFresh = true
    }
    if c.pointee.policy.proxyRules == 0 { return .allow(ruleID: nil) }
    if lastMatcher == nil || lastSet != c.pointee.policy.proxyRules {
      lastMatcher = table.http(c.pointee.policy.proxyRules)
      if lastMatcher == nil && !isFresh {
        resolve(c)
        if c.pointee.policy.proxyRules == 0 { return .allow(ruleID: nil) }
        lastMatcher = table.http(c.pointee.policy.proxyRules)
      }
      lastSet = c.pointee.policy.proxyRules
      lastIsEgress = table.isEgress(lastSet)
    }
    c.pointee.isEgress = lastIsEgress
    let decision = lastMatcher?.decide(requestFacts(bytes)) ?? .deny
    switch decision {
    case .allow(let rule): c.pointee.rule = rule ?? 0
    case .allowWithMismatches(let rule): c.pointee.rule = rule
    case .deny where c.pointee.policy.isAudit:
      c.pointee.isAudited = true
      return .allow(ruleID: nil)
    case .deny: break
    }
    return decision
  }

  private func resolve(_ c: ConnectionPointer) {
    adopt(
      shared.resolver.resolve(
        client: c.pointee.clientAddress, server: c.pointee.serverAddress, transport: .tcp), c)
  }

  /// Takes what the resolver has just found for a connection.
  func adopt(_ policy: ConnectionPolicy?, _ c: ConnectionPointer) {
    c.pointee.policy = policy ?? .denied
    c.pointee.isResolved = c.pointee.policy != .denied
    c.pointee.generation = tableVersion
  }

  func requestFacts(_ bytes: UnsafeMutablePointer<UInt8>) -> HTTPRequestFacts {
    let raw = UnsafeRawPointer(bytes)
    @inline(__always)
    func view(_ range: ByteRange) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: raw + range.start, count: range.count)
    }
    let lines = fields.lines
    for index in 0..<lines.count {
      (facts + index).initialize(to: HTTPHeaderFacts(name: view(lines[index].name), value: view(lines[index].value)))
    }
    return HTTPRequestFacts(
      method: view(head.method), path: view(head.path), host: head.host.count > 0 ? view(head.host) : nil,
      headers: UnsafeBufferPointer(start: facts, count: lines.count))
  }
}
