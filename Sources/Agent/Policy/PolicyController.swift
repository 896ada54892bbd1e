import Addressing
import Datapath
import Files
import Flows
import Identity
import KubernetesAPI
import Logging
import Policy
import ProxyRules

/// Holds the compiled policy and makes the proxy and the kernel agree with it.
///
/// Changes are merged while an earlier one is being applied, so a burst of them costs a few passes, and each caller
/// returns when its own change is in force.
actor PolicyController {
  let datapath: Datapath
  let directory: NodeDirectory
  let logger: Logger
  /// Names of the node's devices, on which its own traffic is judged.
  let devices: [String]
  /// This node's name, where it is in audit mode as a whole.
  let auditedNode: String?
  let report: @Sendable ([ObjectKey: PolicyObjectStatus]) -> Void
  var compiler: PolicyCompiler
  /// Policies that are watched and not enforced; the compiler knows nothing of them.
  var audited = AuditedPolicies()
  private let audit: AuditWatch
  /// The pods of each subject that are in audit mode themselves: `default/web`.
  var watchedPods: [NumericIdentity: [String]] = [:]
  /// What the objects' status told of them last.
  var toldWatched: [ObjectKey: [String]] = [:]
  private var proxy: ProxyConfigurationFile
  private let nameTablePath: String
  private var pending: PolicyDelta?
  private var pass: Task<Void, Never>?
  /// Until the first full snapshot is there nothing is written: what an earlier agent left stays in force.
  private var isStarted = false
  /// What the kernel did not take, and when it is asked again.
  var refusals = KernelRefusals()
  private var retry: Task<Void, Never>?
  private(set) var times = PolicyTimes()

  init(
    datapath: Datapath, directory: NodeDirectory, state: StateDirectory, devices: [String], auditedNode: String? = nil,
    audit: AuditWatch = AuditWatch(), logger: Logger,
    report: @escaping @Sendable ([ObjectKey: PolicyObjectStatus]) -> Void
  ) {
    self.datapath = datapath
    self.directory = directory
    self.logger = logger
    self.devices = devices
    self.auditedNode = auditedNode
    self.audit = audit
    self.report = report
    proxy = ProxyConfigurationFile(state.proxy)
    nameTablePath = state.proxy.nameTable
    let names = (try? StateFiles.read(state.proxy.nameTable)).flatMap { try? NameTable(parsing: $0) }
    compiler = PolicyCompiler(
      allocations: PolicyController.allocations(
        beyond: proxy.current.ruleSets.map(\.id), names: names, datapath, logger))
  }

  var compiled: CompiledPolicy { compiler.compiled }

  /// Identities of the cluster, of blocks of addresses, and the reserved ones.
  var knownIdentities: [NumericIdentity: IdentityLabels] { compiler.knownIdentities }

  /// This node's addresses.
  var hostAddresses: [IPAddress] {
    compiler.nodes.addresses.filter { $0.value == ReservedIdentity.host.identity }.keys.sorted()
  }

  /// The addresses of all nodes, and their identities.
  var nodeAddresses: [IPAddress: NumericIdentity] { compiler.nodes.addresses }

  /// Which addresses have which identities by their names, and which patterns are in use.
  var namePolicy: NameIdentities { compiler.allocations.names }

  /// The rule set that judges requests, as the compiler has it.
  func ruleSet(_ id: UInt32) -> RuleSet? { compiler.ruleSets[id] }

  /// Everything as it is, and as it would be with these policies; nothing of it is put in force.
  func trial(_ documents: [PolicyDocument]) -> (before: CompiledPolicy, after: CompiledPolicy) {
    var copy = compiler
    var delta = PolicyDelta()
    delta.changedPolicies = documents
    _ = copy.update(delta)
    return (compiler.compiled, copy.compiled)
  }

  /// What the policies that select `subject` say of its connections with `peer`.
  func readings(
    of subject: NumericIdentity, _ direction: Direction, peer: NumericIdentity, protocol: UInt8, port: UInt16
  ) -> [PolicyReading] {
    compiler.readings(of: subject, direction, peer: peer, protocol: `protocol`, port: port)
  }

  /// Compiles the first snapshot and makes the kernel hold it and nothing else.
  func start(_ snapshot: PolicySnapshot) async {
    let delta = PolicyDelta(snapshot)
    times.compileAll(audited.inForce(delta), with: &compiler)
    nameClosing()
    isStarted = true
    await writeProxy(keeping: proxy.current.ruleSets)
    writeKernel(Set(compiler.maps.keys), comparing: true)
    writeNameTable()
    nameBlocks()
    finish(compiler.status)
    watch(delta)
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
    pending = pending ?? PolicyDelta()
    pending?.merge(delta)
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
    let began = ContinuousClock.now
    let change = times.compile(audited.inForce(delta), with: &compiler)
    nameClosing()
    for (identity, details) in delta.changedIdentities { directory.setLabels(identity, details.labels) }
    for identity in delta.removedIdentities where delta.changedIdentities[identity] == nil {
      directory.retireLabels(identity)
    }
    if !change.isEmpty || !refusals.isEmpty { await enforce(change) }
    times.countApplied(since: began)
    watch(delta)
  }

  /// Makes the proxy and the kernel do as the compiler says.
  private func enforce(_ change: PolicyChange) async {
    if change.rules { directory.setRules(compiler.rules) }
    let needsProxy = !change.ruleSets.isEmpty || !change.removedRuleSets.isEmpty
    if needsProxy {
      await writeProxy(keeping: proxy.current.ruleSets.filter { change.removedRuleSets.contains($0.id) })
    }
    // First, so that there is room for others.
    if compiler.maps[ReservedIdentity.host.identity] == nil { setHostPolicy(false) }
    for identity in change.removedMaps {
      attempt("forget the policy of identity \(identity)") { try datapath.policy.remove(identity) }
    }
    let writesIPCache = !change.cidrs.isEmpty || change.nodes
    // What was judged by an old map is judged again at the next revision, except by a rule set that is about to go.
    writeKernel(
      change.maps.subtracting(patch(change, writesIPCache)), writesIPCache: writesIPCache,
      settling: !change.removedRuleSets.isEmpty)
    writeAddresses(change.addresses)
    if change.names { writeNameTable() }
    // Addresses come and go with answers: no connection is judged otherwise for that.
    if change.isOnlyAboutAddresses { return scheduleRetry() }
    if !change.removedRuleSets.isEmpty {
      attempt("bump the revision") { try datapath.bumpRevision() }
      await writeProxy(keeping: [])
    }
    if change.nodes || !change.cidrs.isEmpty { nameBlocks() }
    var status: [ObjectKey: PolicyObjectStatus] = [:]
    for object in change.status { status[object] = compiler.status[object] }
    finish(status)
  }

  /// Takes up what of a change is about policies that are not enforced; after the others, which packets wait for.
  private func watch(_ delta: PolicyDelta) {
    let change = audited.update(delta, beside: compiler)
    if change.isNews { audit.publish(audited.book) }
    if !change.status.isEmpty { report(audited.status.filter { change.status.contains($0.key) }) }
  }

  /// Tells those who make flows by which policies subjects are closed.
  private func nameClosing() {
    let changed = compiler.takeReselected()
    guard !changed.isEmpty else { return }
    directory.setClosing(
      Dictionary(
        uniqueKeysWithValues: changed.map {
          ($0, (compiler.policies(closing: $0, .ingress), compiler.policies(closing: $0, .egress)))
        }))
  }

  private func nameBlocks() {
    for block in compiler.cidrIdentities.values { directory.setLabels(block.identity, block.labels) }
    for (identity, labels) in compiler.nodes.labels { directory.setLabels(identity, labels) }
  }

  private func finish(_ status: [ObjectKey: PolicyObjectStatus]) {
    attempt("bump the revision") { try datapath.bumpRevision() }
    directory.setRules(compiler.rules)
    report(statusOfChanged(status))
    scheduleRetry()
  }

  /// Asks the kernel again after a while, if it refused something: room may come without a change of policy.
  private func scheduleRetry() {
    retry?.cancel()
    retry = nil
    guard let pause = refusals.nextPause() else { return }
    retry = Task { [weak self] in
      try? await Task.sleep(for: pause)
      if !Task.isCancelled { await self?.apply(PolicyDelta()) }
    }
  }

  /// Gives the proxy all rule sets of the compiler and those to keep for now, and waits until it serves them.
  private func writeProxy(keeping old: [RuleSet]) async {
    let new = Array(compiler.ruleSets.values)
    let kept = old.filter { compiler.ruleSets[$0.id] == nil }
    let sets = new + kept
    var authors: [UInt32: RuleAuthor] = [:]
    for rule in Set(sets.flatMap { $0.rules.ids }) {
      if let author = compiler.rules[rule]?.author {
        authors[rule] = author
      } else if let author = proxy.current.authors[rule] {
        authors[rule] = author
      }
    }
    directory.setAuthors(
      of: Dictionary(uniqueKeysWithValues: sets.map { ($0.id, PolicyController.policies(of: $0, authors)) }))
    do {
      try proxy.write(ruleSets: sets, authors: authors)
      if await !proxy.acknowledged(within: .milliseconds(500)) {
        logger.warning("the proxy does not serve generation \(proxy.current.generation) yet; it reads it at its start")
      }
    } catch {
      logger.error("the proxy's configuration can not be written: \(error)")
    }
  }

  private static func policies(of set: RuleSet, _ authors: [UInt32: RuleAuthor]) -> [Flow.PolicyReference] {
    var policies: [Flow.PolicyReference] = []
    for author in set.rules.ids.compactMap({ authors[$0] }) {
      let policy = Flow.PolicyReference(
        kind: author.kind, namespace: author.namespace ?? "", name: author.name, rule: "")
      if !policies.contains(policy) { policies.append(policy) }
    }
    return policies
  }

  /// Tells the proxy which identities it may give to addresses by itself; after the kernel has their policy.
  private func writeNameTable() {
    attempt("write the identities of names") {
      try StateFiles.write(compiler.allocations.names.table.json.serialized(), to: nameTablePath)
    }
    for (identity, labels) in compiler.knownIdentities where identity.isOfNames {
      directory.setLabels(identity, labels)
    }
  }

  func attempt(_ what: String, _ body: () throws -> some Any) {
    do { _ = try body() } catch { logger.error("can not \(what): \(error)") }
  }
}
