import Datapath
import Identity
import KubernetesAPI
import Logging
import NodeAPI
import Policy
import ProxyRules

/// Holds the compiled policy and makes the proxy and the kernel agree with it.
///
/// Changes are merged while an earlier one is being applied, so a burst of them costs a few passes, and each caller
/// returns when its own change is in force.
actor PolicyController {
  private let datapath: Datapath
  private let directory: NodeDirectory
  private let logger: Logger
  private let report: @Sendable ([ObjectKey: PolicyObjectStatus]) -> Void
  private var compiler: PolicyCompiler
  private var proxy: ProxyConfigurationFile
  private var pending: PolicyDelta?
  private var pass: Task<Void, Never>?
  /// Until the first full snapshot is there nothing is written: what an earlier agent left stays in force.
  private var isStarted = false
  /// What could not be written into the kernel: denied there, and tried again with the next change.
  private(set) var problems: [NumericIdentity: String] = [:]
  /// The objects whose status told of such a problem last.
  private var refused: Set<ObjectKey> = []

  init(
    datapath: Datapath, directory: NodeDirectory, state: StateDirectory, logger: Logger,
    report: @escaping @Sendable ([ObjectKey: PolicyObjectStatus]) -> Void
  ) {
    self.datapath = datapath
    self.directory = directory
    self.logger = logger
    self.report = report
    proxy = ProxyConfigurationFile(directory: state)
    // Numbers of an earlier agent may still be in the connection table: new ones start beyond them.
    var allocations = PolicyAllocations()
    let used = proxy.current.ruleSets.map(\.id).max() ?? 0
    allocations.httpRuleSets = NumberAllocator(range: used + 1...0xFFFF_FFFF, order: .cycling)
    compiler = PolicyCompiler(allocations: allocations)
  }

  var compiled: CompiledPolicy { compiler.compiled }
  var status: [ObjectKey: PolicyObjectStatus] { compiler.status }

  /// Identities of the cluster, of blocks of addresses, and the reserved ones.
  var knownIdentities: [NumericIdentity: IdentityLabels] { compiler.knownIdentities }

  /// The rule set that judges requests, as the compiler has it.
  func ruleSet(_ id: UInt32) -> HTTPRuleSet? { compiler.httpRuleSets[id] }

  /// Compiles the first snapshot and makes the kernel hold it and nothing else.
  func start(_ snapshot: PolicySnapshot) async {
    _ = compiler.update(PolicyDelta(snapshot))
    isStarted = true
    await writeProxy(keeping: proxy.current.ruleSets)
    writeMaps(Set(compiler.maps.keys), comparing: true)
    writeIPCache()
    await finish(compiler.status)
  }

  /// Removes the policies of identities that no endpoint has any more. To be called when the endpoints of an earlier agent
  /// have their present identities, so that no packet meets an identity without a policy.
  func forgetStale() {
    for identity in (try? datapath.policy.identities()) ?? [] where compiler.maps[identity] == nil {
      attempt("forget the policy of identity \(identity)") { try datapath.policy.remove(identity) }
    }
    attempt("bump the revision") { try datapath.bumpRevision() }
  }

  /// Applies a change; returns when it is in force.
  func apply(_ delta: PolicyDelta) async {
    pending = pending.map { merge($0, delta) } ?? delta
    guard isStarted else { return }
    while pending != nil {
      if let pass {
        await pass.value
      } else {
        let task = Task { await self.run() }
        pass = task
        await task.value
      }
    }
    await pass?.value
  }

  private func run() async {
    if let delta = pending {
      pending = nil
      await perform(delta)
    }
    pass = nil
  }

  private func perform(_ delta: PolicyDelta) async {
    let change = compiler.update(delta)
    for (identity, details) in delta.changedIdentities { directory.setLabels(identity, details.labels) }
    if change.isEmpty { return }
    if change.rules { directory.setRules(compiler.rules) }
    let needsProxy = !change.httpRuleSets.isEmpty || !change.removedHTTPRuleSets.isEmpty
    if needsProxy {
      await writeProxy(keeping: proxy.current.ruleSets.filter { change.removedHTTPRuleSets.contains($0.id) })
    }
    writeMaps(change.maps.union(problems.keys), comparing: false)
    for identity in change.removedMaps {
      attempt("forget the policy of identity \(identity)") { try datapath.policy.remove(identity) }
    }
    if !change.cidrs.isEmpty || change.nodes { writeIPCache() }
    if !change.removedHTTPRuleSets.isEmpty {
      attempt("bump the revision") { try datapath.bumpRevision() }
      await writeProxy(keeping: [])
    }
    await finish(compiler.status.filter { change.status.contains($0.key) })
  }

  private func finish(_ status: [ObjectKey: PolicyObjectStatus]) async {
    attempt("bump the revision") { try datapath.bumpRevision() }
    directory.setRules(compiler.rules)
    for block in compiler.cidrIdentities.values { directory.setLabels(block.identity, block.labels) }
    for (identity, labels) in compiler.nodes.labels { directory.setLabels(identity, labels) }
    report(status.merging(unwritten()) { $1 })
  }

  /// The status of the objects that stand in a map which the kernel did not take, and of those that no longer do.
  private func unwritten() -> [ObjectKey: PolicyObjectStatus] {
    var issues: [ObjectKey: [PolicyIssue]] = [:]
    for (identity, problem) in problems {
      let rules = Set((compiler.maps[identity] ?? [:]).values.map(\.rule))
      for object in Set(rules.compactMap { compiler.rules[$0]?.object }) {
        issues[object, default: []].append(
          PolicyIssue(path: "spec", message: "identity \(identity) is denied all traffic: \(problem)"))
      }
    }
    var status: [ObjectKey: PolicyObjectStatus] = [:]
    for object in refused where issues[object] == nil { status[object] = compiler.status[object] }
    for (object, found) in issues {
      status[object] = PolicyObjectStatus(state: .partial, issues: (compiler.status[object]?.issues ?? []) + found)
    }
    refused = Set(issues.keys)
    return status
  }

  private func writeIPCache() {
    attempt("write the ipcache") { try datapath.ipcache.reconcile(compiler.compiled.ipcache) }
  }

  private func writeMaps(_ identities: Set<NumericIdentity>, comparing: Bool) {
    for identity in identities {
      guard let state = compiler.maps[identity] else {
        problems[identity] = nil
        continue
      }
      do {
        if comparing, try datapath.policy.state(identity) == state { continue }
        try datapath.policy.replace(identity, with: state)
        problems[identity] = nil
      } catch {
        problems[identity] = "\(error)"
        logger.error("the policy of identity \(identity) can not be written, it denies everything: \(error)")
        // An identity without a map is denied everything; unlike an empty map, this needs no memory.
        attempt("deny identity \(identity)") { try datapath.policy.remove(identity) }
      }
    }
  }

  /// Gives the proxy all rule sets of the compiler and those to keep for now, and waits until it serves them.
  private func writeProxy(keeping old: [HTTPRuleSet]) async {
    let new = Array(compiler.httpRuleSets.values)
    let kept = old.filter { compiler.httpRuleSets[$0.id] == nil }
    let sets = new + kept
    var authors: [UInt32: RuleAuthor] = [:]
    for rule in Set(sets.flatMap { $0.rules.map(\.id) }) {
      if let author = compiler.rules[rule]?.author() {
        authors[rule] = author
      } else if let author = proxy.current.authors[rule] {
        authors[rule] = author
      }
    }
    do {
      try proxy.write(ruleSets: sets, authors: authors)
      if await !proxy.acknowledged(within: .milliseconds(500)) {
        logger.warning("the proxy does not serve generation \(proxy.current.generation) yet; it reads it at its start")
      }
    } catch {
      logger.error("the proxy's configuration can not be written: \(error)")
    }
  }

  private func attempt(_ what: String, _ body: () throws -> some Any) {
    do { _ = try body() } catch { logger.error("can not \(what): \(error)") }
  }

  private func merge(_ first: PolicyDelta, _ second: PolicyDelta) -> PolicyDelta {
    var merged = first
    for identity in second.removedIdentities { merged.changedIdentities[identity] = nil }
    merged.removedIdentities.formUnion(second.removedIdentities)
    merged.changedIdentities.merge(second.changedIdentities) { $1 }
    merged.addedSubjects = merged.addedSubjects.subtracting(second.removedSubjects).union(second.addedSubjects)
    merged.removedSubjects = merged.removedSubjects.union(second.removedSubjects).subtracting(second.addedSubjects)
    let replaced = second.removedPolicies.union(second.changedPolicies.map(\.key))
    merged.changedPolicies = merged.changedPolicies.filter { !replaced.contains($0.key) } + second.changedPolicies
    merged.removedPolicies.formUnion(second.removedPolicies)
    merged.nodes = second.nodes ?? merged.nodes
    return merged
  }
}
