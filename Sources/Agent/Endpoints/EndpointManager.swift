import Addressing
import CNI
import Datapath
import Identity
import KubernetesAPI
import Logging
import Policy

/// Connects pods: addresses, interface, identity, kernel entries. One attachment file per pod is the record from which a
/// new agent adopts what it finds.
actor EndpointManager {
  let configuration: AgentConfiguration
  let kernel: any EndpointKernel
  let devices: any PodDevices
  let policy: any PolicySink
  let reports: any EndpointReports
  let api: any ObjectAPI
  let identities: IdentityService
  let directory: NodeDirectory
  let logger: Logger
  let attachments: AttachmentStore
  let pendingDeletes: PendingDeletes
  var ipam: HostScopeIPAM
  var ids = NumberAllocator<CNIAttachmentKey>(range: 1...65535, order: .cycling)
  var endpoints: [CNIAttachmentKey: Endpoint] = [:]
  var pods: [ObjectKey: Pod] = [:]
  var namespaces: [String: [String: String]] = [:]
  /// Where the next round of questions for programs begins.
  var lastAsked = 0
  private var connecting: [CNIAttachmentKey: Task<AttachmentResult, any Error>] = [:]
  private var identifications: WorkQueue<CNIAttachmentKey>?
  /// The pods in audit mode that policy was told of last.
  private var toldWatched: [NumericIdentity: [String]] = [:]

  init(
    configuration: AgentConfiguration, kernel: any EndpointKernel, devices: any PodDevices, policy: any PolicySink,
    reports: any EndpointReports, api: any ObjectAPI, identities: IdentityService, directory: NodeDirectory,
    logger: Logger
  ) throws {
    self.configuration = configuration
    self.kernel = kernel
    self.devices = devices
    self.policy = policy
    self.reports = reports
    self.api = api
    self.identities = identities
    self.directory = directory
    self.logger = logger
    attachments = try AttachmentStore(stateDirectory: configuration.directory.path)
    pendingDeletes = PendingDeletes(stateDirectory: configuration.directory.path)
    ipam = try HostScopeIPAM(configuration.podCIDRs)
  }

  var all: [Endpoint] { endpoints.values.sorted { $0.id < $1.id } }

  func endpoint(namespace: String, pod: String) -> Endpoint? {
    endpoints.values.first { $0.attachment.podNamespace == namespace && $0.attachment.podName == pod }
  }

  func endpoint(address: IPAddress) -> Endpoint? {
    endpoints.values.first { $0.attachment.addresses.contains(address) }
  }

  // MARK: The CNI's verbs

  /// Connects a pod; one that is connected gives its result again. The caller's cancellation does not end it half way.
  func add(_ invocation: CNIInvocation, network: String = "", mtu: Int?) async throws -> AttachmentResult {
    let key = invocation.key
    // A DEL that was written down while no agent listened came before this ADD.
    await replayDelete(key)
    if let existing = endpoints[key], connecting[key] == nil { return existing.attachment.result }
    guard connecting[key] == nil else { throw CNIError(.tryAgainLater, "ADD for \(key) is under way") }
    let task = Task {
      defer { connecting[key] = nil }
      return try await connect(invocation, network: network, mtu: mtu ?? configuration.mtu)
    }
    connecting[key] = task
    do { return try await task.value } catch {
      throw task.isCancelled ? CNIError(.tryAgainLater, "\(key) was deleted during ADD") : error
    }
  }

  private func connect(_ invocation: CNIInvocation, network: String, mtu: Int) async throws -> AttachmentResult {
    let key = invocation.key
    // A container of a runtime that knows no Pods has no labels: it is what policies call `init`.
    let pod = invocation.namesPod ? try await pod(invocation) : nil
    let labels = pod.map(identityLabels) ?? ReservedIdentity.`init`.labels
    let identity = pod == nil ? ReservedIdentity.`init`.identity : try await identities.identity(of: labels)
    try Task.checkCancellation()
    let addresses = try ipam.allocate()
    do {
      var (attachment, index) = try await devices.create(
        invocation, uid: pod?.metadata.uid ?? "", addresses: addresses, mtu: mtu
      ) { [kernel] in try kernel.attach(interface: $0, index: $1) }
      attachment.network = network
      try Task.checkCancellation()
      guard let id = ids.allocate(key) else { throw CNIError(.agentFailure, "no endpoint id is free") }
      try attachments.save(attachment)
      endpoints[key] = Endpoint(
        id: id, attachment: attachment, interfaceIndex: index, identity: identity, labels: labels,
        namedPorts: pod?.namedPorts ?? [], isAudit: pod?.isAudit ?? false)
      directory.setEndpoint(id, namespace: attachment.podNamespace, pod: attachment.podName, addresses: addresses)
      // Until the endpoint has its entry, the programs drop all of its packets.
      try await settle(key)
      try Task.checkCancellation()
      guard let current = endpoints[key] else { throw CancellationError() }
      try kernel.set(current.datapath)
      reports.publish(current)
      logger.info(
        "connected \(attachment.label) as endpoint \(id), identity \(current.identity)")
      return attachment.result
    } catch {
      if endpoints[key] != nil {
        await disconnect(key)
      } else {
        ids.release(key)
        ipam.release(addresses)
        removeDevice(key)
        try? attachments.remove(key)
      }
      throw error
    }
  }

  /// Disconnects; whatever is gone already is fine. An ADD that is under way ends first, and leaves nothing.
  func delete(_ key: CNIAttachmentKey) async {
    while let task = connecting[key] {
      task.cancel()
      _ = await task.result
    }
    await disconnect(key)
  }

  private func disconnect(_ key: CNIAttachmentKey) async {
    removeDevice(key)
    guard let endpoint = endpoints.removeValue(forKey: key) else {
      try? attachments.remove(key)
      return
    }
    let attachment = endpoint.attachment
    attempt("remove endpoint \(endpoint.id)") { try kernel.remove(attachment.addresses) }
    attempt("forget the connections of endpoint \(endpoint.id)") {
      try kernel.forgetConnections(of: attachment.addresses)
    }
    ipam.release(attachment.addresses)
    ids.release(key)
    directory.removeEndpoint(endpoint.id, addresses: attachment.addresses)
    attempt("remove the record of endpoint \(endpoint.id)") { try attachments.remove(key) }
    reports.withdraw(attachment)
    await leave(endpoint)
    if endpoint.isAudit { await tellWatched() }
    logger.info("disconnected \(attachment.label), endpoint \(endpoint.id)")
  }

  /// Whether everything of an attachment is there, in the kernel and in the container; throws what is missing.
  ///
  /// - Parameter expected: what the runtime got from ADD.
  func check(_ invocation: CNIInvocation, expecting expected: AttachmentResult?) async throws {
    let key = invocation.key
    guard let endpoint = endpoints[key] else { throw CNIError(.unknownContainer, "no attachment \(key)") }
    guard try devices.index(of: endpoint.attachment) == endpoint.interfaceIndex else {
      throw CNIError(.agentFailure, "\(endpoint.attachment.hostInterface) is gone")
    }
    let entries = try kernel.entries()
    for address in endpoint.attachment.addresses {
      guard entries.contains(where: { $0.address == address && $0.id == endpoint.id }) else {
        throw CNIError(.agentFailure, "the kernel has no entry for \(address)")
      }
    }
    guard try kernel.isAttached(index: endpoint.interfaceIndex) else {
      throw CNIError(.agentFailure, "\(endpoint.attachment.hostInterface) lacks its programs")
    }
    var attachment = endpoint.attachment
    attachment.netns = invocation.netns
    try await devices.check(attachment, expecting: expected)
  }

  /// Disconnects everything of a network but `valid`. Records that name no network are of a time when only the runtime of
  /// workloads collected.
  func collectGarbage(network: String, valid: [CNIAttachmentKey]) async {
    let names = network == WorkloadNetwork.name ? [network, ""] : [network]
    let own = endpoints.filter { names.contains($0.value.attachment.network) }
    for key in Set(own.keys).subtracting(valid) { await delete(key) }
  }

  /// Does the DELs that the plugin could not hand over. To be called before the agent listens, so that nothing stale is
  /// served, and once more when it does: a plugin may have written one down in between.
  func replayDeletes() async {
    for key in (try? pendingDeletes.load()) ?? [] { await replayDelete(key) }
  }

  private func replayDelete(_ key: CNIAttachmentKey) async {
    guard pendingDeletes.contains(key) else { return }
    await delete(key)
    attempt("forget the pending DEL of \(key)") { try pendingDeletes.remove(key) }
  }

  // MARK: Identities of endpoints

  /// Has the endpoints' identities found again, one after another for each endpoint, until that succeeds.
  func identifyAgain(_ isConcerned: (Endpoint) -> Bool) {
    for (key, endpoint) in endpoints where isConcerned(endpoint) { queue.add(key) }
  }

  private var queue: WorkQueue<CNIAttachmentKey> {
    if let identifications { return identifications }
    let queue = WorkQueue<CNIAttachmentKey>(width: 16) { [logger] key, error, _ in
      logger.error("no identity for the endpoint of \(key): \(error)")
    } work: { [weak self] key in
      try await self?.identify(key)
    }
    identifications = queue
    return queue
  }

  private func identify(_ key: CNIAttachmentKey) async throws {
    // An ADD looks at the newest labels itself, as its last step.
    if connecting[key] == nil { try await settle(key) }
  }

  /// Gives the endpoint the identity that its pod's labels make; returns when that of the newest labels is in force. Never
  /// runs twice at a time for one endpoint.
  private func settle(_ key: CNIAttachmentKey) async throws {
    while let endpoint = endpoints[key] {
      let pod = pods[endpoint.podKey].flatMap { endpoint.belongs(to: $0) ? $0 : nil }
      // A pod that is gone has no newer labels.
      let labels = pod.map(identityLabels) ?? endpoint.labels
      let ports = pod?.namedPorts ?? endpoint.namedPorts
      let isAudit = pod?.isAudit ?? endpoint.isAudit
      let isSame = endpoint.labels == labels && endpoint.namedPorts == ports && endpoint.isAudit == isAudit
      if endpoint.isSettled, isSame { return }
      let identity =
        pod == nil
        ? endpoint.identity : try await identities.identity(of: labels, preferring: endpoint.identity)
      guard var current = endpoints[key], current.id == endpoint.id else { continue }
      (current.identity, current.labels, current.namedPorts, current.isSettled) = (identity, labels, ports, true)
      current.isAudit = isAudit
      endpoints[key] = current
      await policy.apply(subject(identity))
      if endpoints[key]?.id == endpoint.id, connecting[key] == nil {
        attempt("write endpoint \(current.id)") { try kernel.set(current.datapath) }
        if endpoint.identity != identity || endpoint.isAudit != isAudit {
          attempt("bump the revision") { try kernel.bumpRevision() }
        }
        reports.publish(current)
      }
      if endpoint.isAudit || isAudit { await tellWatched() }
      if endpoint.identity != identity { await leave(endpoint) }
      // Ended while its policy was made: nobody else will take that back.
      if endpoints[key]?.id != endpoint.id { await leave(current) }
    }
  }

  /// Policies say of which pods they are only watched on.
  private func tellWatched() async {
    let audited = Dictionary(grouping: endpoints.values.filter(\.isAudit), by: \.identity)
    let pods = audited.mapValues { $0.map { "\($0.attachment.podNamespace)/\($0.attachment.podName)" }.sorted() }
    guard pods != toldWatched else { return }
    toldWatched = pods
    await policy.setWatchedPods(pods)
  }

  /// Lets go of the policy of an identity that the endpoint had, when no other endpoint has it.
  private func leave(_ endpoint: Endpoint) async {
    let identity = endpoint.identity
    func isUsed() -> Bool { endpoints.values.contains { $0.identity == identity } }
    var delta = PolicyDelta()
    if !isUsed() {
      delta.removedSubjects = [identity]
    } else if !endpoint.namedPorts.isEmpty {
      delta.changedIdentities[identity] = details(identity)
    } else {
      return
    }
    await policy.apply(delta)
    // Somebody may have taken the identity on meanwhile, and need not have come after this change.
    if delta.removedSubjects.contains(identity), isUsed() { await policy.apply(subject(identity)) }
  }

  // MARK: Parts

  private func removeDevice(_ key: CNIAttachmentKey) {
    let name = PodInterface.hostName(for: key)
    devices.remove(name)
    attempt("detach from \(name)") { try kernel.detach(interface: name) }
  }

  private func pod(_ invocation: CNIInvocation) async throws -> Pod {
    let key = ObjectKey(kind: Pod.resource.kind, namespace: invocation.podNamespace, name: invocation.podName)
    if let pod = pods[key], invocation.podUID.isEmpty || pod.metadata.uid == invocation.podUID,
      namespaces[invocation.podNamespace] != nil
    {
      return pod
    }
    let pod = try Pod(
      try await api.get(Pod.resource, namespace: invocation.podNamespace, name: invocation.podName))
    if namespaces[invocation.podNamespace] == nil {
      let namespace = try Namespace(
        try await api.get(Namespace.resource, namespace: nil, name: invocation.podNamespace))
      // What a watch has told meanwhile is as new or newer.
      if namespaces[invocation.podNamespace] == nil {
        namespaces[invocation.podNamespace] = namespace.metadata.labels
      }
    }
    if let known = pods[key], known.metadata.uid == pod.metadata.uid { return known }
    pods[key] = pod
    return pod
  }

  func identityLabels(_ pod: Pod) -> IdentityLabels {
    pod.identityLabels(
      namespaceLabels: namespaces[pod.metadata.namespace ?? "default"] ?? [:], cluster: configuration.clusterName)
  }

  func details(_ identity: NumericIdentity) -> IdentityDetails? {
    let members = endpoints.values.filter { $0.identity == identity }
    guard let labels = members.first?.labels else { return nil }
    return IdentityDetails(labels: labels, namedPorts: members.reduce(into: []) { $0.formUnion($1.namedPorts) })
  }

  private func subject(_ identity: NumericIdentity) -> PolicyDelta {
    var delta = PolicyDelta()
    delta.addedSubjects = [identity]
    if let details = details(identity) { delta.changedIdentities[identity] = details }
    return delta
  }

  func attempt(_ what: String, _ body: () throws -> Void) {
    do { try body() } catch { logger.error("can not \(what): \(error)") }
  }
}
