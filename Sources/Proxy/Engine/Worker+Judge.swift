import ProxyRules

extension Worker {
  /// Decides about the request in `head` by the rules in force now.
  func judge(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) -> HTTPDecision {
    let version = shared.rules.currentVersion
    if version != tableVersion {
      (tableVersion, table) = shared.rules.versioned
      lastMatcher = nil
    }
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
    }
    guard let decision = lastMatcher?.decide(requestFacts(bytes)) else { return .deny }
    switch decision {
    case .allow(let rule): c.pointee.rule = rule ?? 0
    case .allowWithMismatches(let rule): c.pointee.rule = rule
    case .deny: break
    }
    return decision
  }

  private func resolve(_ c: ConnectionPointer) {
    c.pointee.policy =
      shared.resolver.resolve(client: c.pointee.clientAddress, server: c.pointee.serverAddress) ?? .denied
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
