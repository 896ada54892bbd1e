import Addressing
import CNI
import Datapath
import Identity
import KubernetesAPI
import Logging
import Netlink
import Policy

/// Connects pods: addresses, interface, identity, kernel entries. One attachment file per pod is the record from which a
/// new agent adopts what it finds.
actor EndpointManager {
  private let configuration: AgentConfiguration
  private let datapath: Datapath
  private let policy: PolicyController
  private let identities: IdentityService
  private let directory: NodeDirectory
  private let client: KubernetesClient
  private let logger: Logger
  private let attachments: AttachmentStore
  private let interfaces: PodInterfaces
  private let publisher: EndpointPublisher
  private var ipam: HostScopeIPAM
  private var ids = NumberAllocator<CNIAttachmentKey>(range: 1...65535, order: .cycling)
  private var endpoints: [CNIAttachmentKey: Endpoint] = [:]
  private var pods: [ObjectKey: Pod] = [:]
  private var namespaces: [String: [String: String]] = [:]
  private var underWay: Set<CNIAttachmentKey> = []

  init(
    configuration: AgentConfiguration, datapath: Datapath, policy: PolicyController, identities: IdentityService,
    directory: NodeDirectory, client: KubernetesClient, logger: Logger
  ) throws {
    self.configuration = configuration
    self.datapath = datapath
    self.policy = policy
    self.identities = identities
    self.directory = directory
    self.client = client
    self.logger = logger
    attachments = try AttachmentStore(stateDirectory: configuration.directory.path)
    interfaces = try PodInterfaces()
    publisher = EndpointPublisher(client: client, nodeName: configuration.nodeName, logger: logger)
    ipam = try HostScopeIPAM(configuration.podCIDRs)
  }

  var all: [Endpoint] { endpoints.values.sorted { $0.id < $1.id } }

  func endpoint(namespace: String, pod: String) -> Endpoint? {
    endpoints.values.first { $0.attachment.podNamespace == namespace && $0.attachment.podName == pod }
  }

  func endpoint(address: IPAddress) -> Endpoint? {
    endpoints.values.first { $0.attachment.addresses.contains(address) }
  }

  // MARK: Start

  /// Takes over what an earlier agent left, and returns what policy must know of it. Attachments whose interface is gone
  /// are forgotten; kernel entries and links without an attachment are removed.
  func adopt(pods known: [Pod], namespaces labels: [String: [String: String]]) async throws -> PolicyDelta {
    pods = Dictionary(known.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
    namespaces = labels
    let present = try datapath.endpoints.entries().reduce(into: [:]) { $0[$1.address] = ($1.id, $1.identity) }
    let (found, problems) = try attachments.load()
    for problem in problems { logger.warning("\(problem)") }
    var delta = PolicyDelta()
    for attachment in found {
      guard let index = try interfaces.index(of: attachment) else {
        logger.info("pod \(attachment.podNamespace)/\(attachment.podName) is gone, its interface with it")
        attempt("forget attachment \(attachment.key)") {
          try datapath.connections.remove(addresses: Set(attachment.addresses))
          try attachments.remove(attachment.key)
        }
        continue
      }
      attempt("claim the addresses of \(attachment.key)") { try ipam.claim(attachment.addresses) }
      let before = attachment.addresses.first.flatMap { present[$0] }
      if let id = before?.0 { _ = ids.adopt(attachment.key, id) }
      guard let id = ids.allocate(attachment.key) else {
        logger.error("no endpoint id is free for \(attachment.key)")
        continue
      }
      var endpoint = Endpoint(
        id: id, attachment: attachment, interfaceIndex: index,
        identity: NumericIdentity(rawValue: before?.1 ?? ReservedIdentity.`init`.rawValue),
        labels: ReservedIdentity.`init`.labels, namedPorts: [])
      if let pod = pods[endpoint.podKey] {
        do { try await identify(&endpoint, as: pod) } catch {
          logger.error("no identity for \(endpoint.podKey), it keeps \(endpoint.identity): \(error)")
        }
      }
      endpoints[attachment.key] = endpoint
      directory.setEndpoint(
        endpoint.id, namespace: attachment.podNamespace, pod: attachment.podName, addresses: attachment.addresses)
      delta.addedSubjects.insert(endpoint.identity)
    }
    for identity in delta.addedSubjects { delta.changedIdentities[identity] = details(identity) }
    return delta
  }

  /// Puts the adopted endpoints' entries and programs in place; to be called when their policy is in force.
  func attachAdopted() {
    attempt("write the endpoints") { try datapath.endpoints.reconcile(endpoints.values.map(\.datapath)) }
    let names = Set(endpoints.values.map(\.attachment.hostInterface))
    for endpoint in endpoints.values {
      attempt("attach to \(endpoint.attachment.hostInterface)") {
        try datapath.attach(interface: endpoint.attachment.hostInterface, index: endpoint.interfaceIndex)
      }
      publisher.publish(endpoint)
    }
    for name in datapath.attachedInterfaces().subtracting(names) { datapath.detach(interface: name) }
  }

  /// Does the DELs that the plugin could not hand over while there was no agent.
  func replayDeletes() async {
    let deletes = PendingDeletes(stateDirectory: configuration.directory.path)
    for key in (try? deletes.load()) ?? [] {
      await delete(key)
      attempt("forget the pending DEL of \(key)") { try deletes.remove(key) }
    }
  }

  // MARK: The CNI's verbs

  func add(_ invocation: CNIInvocation, mtu: Int?) async throws -> AttachmentResult {
    let key = invocation.key
    if let existing = endpoints[key] { return existing.attachment.result }
    guard underWay.insert(key).inserted else {
      throw CNIError(.tryAgainLater, "ADD for \(key) is under way")
    }
    defer { underWay.remove(key) }
    let pod = try await pod(invocation)
    let labels = identityLabels(pod)
    let identity = try await identities.identity(of: labels)
    let addresses = try ipam.allocate()
    do {
      let (attachment, index) = try await interfaces.create(
        invocation, uid: pod.metadata.uid, addresses: addresses, mtu: mtu ?? configuration.mtu)
      guard let id = ids.allocate(key) else { throw CNIError(.agentFailure, "no endpoint id is free") }
      let endpoint = Endpoint(
        id: id, attachment: attachment, interfaceIndex: index, identity: identity, labels: labels,
        namedPorts: pod.namedPorts, isAudit: pod.isAudit)
      try attachments.save(attachment)
      endpoints[key] = endpoint
      directory.setEndpoint(id, namespace: attachment.podNamespace, pod: attachment.podName, addresses: addresses)
      await policy.apply(subject(identity))
      // Labels may have changed, or the pod may have gone, while the policy was compiled.
      await identifyAgain { $0.attachment.key == key }
      guard let current = endpoints[key] else { throw CNIError(.tryAgainLater, "\(key) was deleted during ADD") }
      try datapath.endpoints.set(current.datapath)
      try datapath.attach(interface: attachment.hostInterface, index: index)
      publisher.publish(current)
      logger.info(
        "connected \(attachment.podNamespace)/\(attachment.podName) as endpoint \(id), identity \(identity)")
      return attachment.result
    } catch {
      if endpoints[key] != nil {
        await delete(key)
      } else {
        ipam.release(addresses)
        interfaces.remove(key)
      }
      throw error
    }
  }

  /// Disconnects; whatever is gone already is fine.
  func delete(_ key: CNIAttachmentKey) async {
    interfaces.remove(key)
    guard let endpoint = endpoints.removeValue(forKey: key) else {
      try? attachments.remove(key)
      return
    }
    let attachment = endpoint.attachment
    attempt("remove endpoint \(endpoint.id)") { try datapath.endpoints.remove(attachment.addresses) }
    datapath.detach(interface: attachment.hostInterface)
    attempt("forget the connections of endpoint \(endpoint.id)") {
      try datapath.connections.remove(addresses: Set(attachment.addresses))
    }
    ipam.release(attachment.addresses)
    ids.release(key)
    directory.removeEndpoint(endpoint.id, addresses: attachment.addresses)
    attempt("remove the record of endpoint \(endpoint.id)") { try attachments.remove(key) }
    publisher.withdraw(endpoint)
    await leave(endpoint.identity)
    logger.info("disconnected \(attachment.podNamespace)/\(attachment.podName), endpoint \(endpoint.id)")
  }

  func check(_ key: CNIAttachmentKey) throws {
    guard let endpoint = endpoints[key] else { throw CNIError(.unknownContainer, "no attachment \(key)") }
    guard try interfaces.index(of: endpoint.attachment) == endpoint.interfaceIndex else {
      throw CNIError(.agentFailure, "\(endpoint.attachment.hostInterface) is gone")
    }
    let entries = try datapath.endpoints.entries()
    for address in endpoint.attachment.addresses {
      guard entries.contains(where: { $0.address == address && $0.id == endpoint.id }) else {
        throw CNIError(.agentFailure, "the kernel has no entry for \(address)")
      }
    }
  }

  /// Disconnects everything but `valid`.
  func collectGarbage(valid: [CNIAttachmentKey]) async {
    for key in Set(endpoints.keys).subtracting(valid) { await delete(key) }
  }

  // MARK: What the API says

  func podApplied(_ pod: Pod) async {
    pods[pod.key] = pod
    await identifyAgain { $0.podKey == pod.key }
  }

  func podDeleted(_ key: ObjectKey) { pods[key] = nil }

  func namespaceApplied(_ name: String, labels: [String: String]) async {
    guard namespaces[name] != labels else { return }
    namespaces[name] = labels
    await identifyAgain { $0.attachment.podNamespace == name }
  }

  func namespaceDeleted(_ name: String) { namespaces[name] = nil }

  /// An identity that another node may use; those of this node's endpoints are known already.
  func identityApplied(_ object: CiliumIdentity) async {
    let identity = NumericIdentity(rawValue: object.identity)
    guard !endpoints.values.contains(where: { $0.identity == identity }) else { return }
    var delta = PolicyDelta()
    delta.changedIdentities[identity] = IdentityDetails(labels: IdentityLabels(sourced: object.securityLabels))
    await policy.apply(delta)
  }

  func identityDeleted(_ name: String) async {
    guard let number = UInt32(name) else { return }
    let identity = NumericIdentity(rawValue: number)
    guard !endpoints.values.contains(where: { $0.identity == identity }) else { return }
    var delta = PolicyDelta()
    delta.removedIdentities = [identity]
    await policy.apply(delta)
  }

  /// Gives the endpoints the identities that their pods' labels make now.
  private func identifyAgain(_ isConcerned: (Endpoint) -> Bool) async {
    for (key, endpoint) in endpoints where isConcerned(endpoint) {
      guard let pod = pods[endpoint.podKey] else { continue }
      var changed = endpoint
      do {
        try await identify(&changed, as: pod)
      } catch {
        logger.error("no identity for \(endpoint.podKey): \(error)")
        continue
      }
      guard endpoints[key] != nil else { continue }
      let isSame = changed.identity == endpoint.identity && changed.namedPorts == endpoint.namedPorts
      if isSame, changed.isAudit == endpoint.isAudit { continue }
      endpoints[key] = changed
      if !isSame { await policy.apply(subject(changed.identity)) }
      attempt("write endpoint \(changed.id)") { try datapath.endpoints.set(changed.datapath) }
      attempt("bump the revision") { try datapath.bumpRevision() }
      publisher.publish(changed)
      if changed.identity != endpoint.identity { await leave(endpoint.identity) }
    }
  }

  // MARK: Parts

  private func pod(_ invocation: CNIInvocation) async throws -> Pod {
    let key = ObjectKey(kind: Pod.resource.kind, namespace: invocation.podNamespace, name: invocation.podName)
    if let pod = pods[key], invocation.podUID.isEmpty || pod.metadata.uid == invocation.podUID { return pod }
    let pod = try await client.get(Pod.self, namespace: invocation.podNamespace, name: invocation.podName)
    if namespaces[invocation.podNamespace] == nil {
      namespaces[invocation.podNamespace] =
        try await client.get(Namespace.self, namespace: nil, name: invocation.podNamespace).metadata.labels
    }
    pods[key] = pod
    return pod
  }

  private func identityLabels(_ pod: Pod) -> IdentityLabels {
    pod.identityLabels(
      namespaceLabels: namespaces[pod.metadata.namespace ?? "default"] ?? [:], cluster: configuration.clusterName)
  }

  private func identify(_ endpoint: inout Endpoint, as pod: Pod) async throws {
    endpoint.labels = identityLabels(pod)
    endpoint.identity = try await identities.identity(of: endpoint.labels)
    endpoint.namedPorts = pod.namedPorts
    endpoint.isAudit = pod.isAudit
  }

  private func details(_ identity: NumericIdentity) -> IdentityDetails? {
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

  /// Lets go of an identity's policy when its last endpoint has gone.
  private func leave(_ identity: NumericIdentity) async {
    guard !endpoints.values.contains(where: { $0.identity == identity }) else { return }
    var delta = PolicyDelta()
    delta.removedSubjects = [identity]
    await policy.apply(delta)
  }

  private func attempt(_ what: String, _ body: () throws -> Void) {
    do { try body() } catch { logger.error("can not \(what): \(error)") }
  }
}
