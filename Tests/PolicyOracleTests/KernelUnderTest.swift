import Addressing
import BPF
import CMartletABI
import CMartletBPF
import Identity
import JSON
import KernelABI
import KubernetesAPI
import ProxyRules

@testable import Datapath
@testable import Policy

/// The compiler and the programs: a world is compiled, written into real maps, and its questions are put to the loaded
/// program (BPF_PROG_TEST_RUN) as packets.
final class KernelUnderTest {
  private let loaded: LoadedObject
  private let endpoints: EndpointMap
  private let ipcache: IPCache
  private let policies: PolicyTables
  private var ruleSets: [UInt32: RuleSet] = [:]
  /// What user space says of the same entries.
  private var verdicts: PolicyVerdicts?

  init() throws {
    var specification = try ObjectSpecification(bytes: BPFObjects.endpoint, name: "endpoint")
    specification["martlet_conntrack"]?.maxEntries = 64
    specification["martlet_fragments"]?.maxEntries = 64
    specification["martlet_events"]?.maxEntries = 65536
    loaded = try specification.load()
    let configuration: BPFMap<UInt32, martlet_config> = try loaded.map("martlet_config")
    try configuration.update(0, DatapathSettings().entry(after: nil))
    endpoints = EndpointMap(map: try loaded.map("martlet_endpoints"))
    ipcache = IPCache(map: try loaded.map("martlet_ipcache"))
    policies = PolicyTables(outer: try MapOfMaps(loaded.map("martlet_policy")), innerCapacity: 4096)
  }

  /// Makes the kernel hold the world and nothing else. Throws for a policy that can not be read.
  func load(_ world: World) throws {
    var book = PolicyBook(node: "n1")
    let (documents, nodes) = book.start(try KernelUnderTest.inputs(world))
    var identities: [NumericIdentity: IdentityDetails] = [:]
    var subjects: Set<NumericIdentity> = []
    for pod in world.pods {
      identities[pod.identity] = IdentityDetails(
        labels: IdentityLabels(
          podLabels: pod.labels, namespace: pod.namespace, namespaceLabels: World.namespaceLabels(pod.namespace),
          serviceAccount: pod.account),
        namedPorts: Set(pod.ports.map { NamedPort(name: $0.name, protocol: $0.number, port: $0.port) }))
      if pod.isLocal { subjects.insert(pod.identity) }
    }
    var allocations = PolicyAllocations()
    let compiled = PolicyCompiler.compile(
      PolicySnapshot(identities: identities, subjects: subjects, policies: documents, nodes: nodes),
      allocations: &allocations)
    for identity in try policies.identities() where compiled.maps[identity] == nil { try policies.remove(identity) }
    for (identity, state) in compiled.maps { try policies.replace(identity, with: state) }
    try endpoints.reconcile(world.pods.filter(\.isLocal).map(\.endpoint))
    var blocks = compiled.ipcache
    for host in WorldHost.all where host.node == nil {
      guard let entity = ReservedIdentity.allCases.first(where: { $0.name == host.entity }) else { continue }
      for address in [host.v4, host.v6].compactMap({ $0 }).compactMap({ IPAddress($0) }) {
        blocks[CIDR(address)] = entity.identity
      }
    }
    for pod in world.pods where !pod.isLocal {
      for address in pod.endpoint.addresses { blocks[CIDR(address)] = pod.identity }
    }
    _ = try ipcache.reconcile(blocks)
    verdicts = PolicyVerdicts(compiled)
    ruleSets = Dictionary(uniqueKeysWithValues: compiled.ruleSets.map { ($0.id, $0) })
  }

  private static func inputs(_ world: World) throws -> [ClusterInput] {
    var inputs: [ClusterInput] = []
    for host in WorldHost.all {
      guard let name = host.node else { continue }
      let addresses = [host.v4, host.v6].compactMap(\.self)
      if host.entity == "host" { inputs.append(.hostAddresses(Set(addresses.compactMap { IPAddress($0) }))) }
      let labels = (world.nodeLabels[name] ?? [:]).mapValues { JSONValue.string($0) }
      let node: JSONValue = [
        "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": .object(labels)],
        "status": ["addresses": .array(addresses.map { ["type": "InternalIP", "address": .string($0)] })],
      ]
      inputs.append(.nodes(.applied(try Node(node))))
    }
    return try inputs + (world.objects + world.policies).map(input)
  }

  private static func input(_ value: JSONValue) throws(FieldError) -> ClusterInput {
    switch value["kind"]?.stringValue {
    case CiliumClusterwideNetworkPolicy.resource.kind:
      .clusterwide(.applied(try CiliumClusterwideNetworkPolicy(value)))
    case NetworkPolicy.resource.kind: .network(.applied(try NetworkPolicy(value)))
    case CiliumCIDRGroup.resource.kind: .cidrGroups(.applied(try CiliumCIDRGroup(value)))
    case Service.resource.kind: .services(.applied(try Service(value)))
    case Endpoints.resource.kind: .endpoints(.applied(try Endpoints(value)))
    default: .cilium(.applied(try CiliumNetworkPolicy(value)))
    }
  }

  /// nil when no program of this node would see the packet.
  func fate(_ question: Question) throws -> Fate? {
    let ends = [question.from, question.to].map { end in
      if case .pod(let pod) = end, pod.isLocal { pod.endpoint } else { nil as DatapathEndpoint? }
    }
    guard let attached = ends[0] ?? ends[1],
      let source = question.from.address(ipv6: question.ipv6).flatMap({ IPAddress($0) }),
      let destination = question.to.address(ipv6: question.ipv6).flatMap({ IPAddress($0) })
    else { return nil }
    let leaves = ends[0] != nil
    let packet = ProbePacket(
      sourceMAC: leaves ? attached.podMAC : attached.hostMAC,
      destinationMAC: leaves ? attached.hostMAC : attached.podMAC, source: source, destination: destination,
      ipProtocol: question.number, destinationPort: question.port)
    var context = SocketBufferContext(interfaceIndex: 1)
    context.ingressInterfaceIndex = MARTLET_TRACE_INGRESS_IFINDEX
    let program = try loaded.program(leaves ? "from_container" : "to_container")
    _ = try program.testRun(data: packet.bytes, context: &context)
    let answer = TraceAnswer(context.controlBlock)
    switch UInt32(answer.dropReason) {
    case 0: break
    case MARTLET_DROP_POLICY_DENY.rawValue: return .denied
    case MARTLET_DROP_POLICY_DENIED.rawValue: return .notAllowed
    case MARTLET_DROP_PROXY_UNSUPPORTED_PROTOCOL.rawValue: return .unreadable
    case let reason: throw UnexpectedDrop(reason: reason)
    }
    guard UInt32(answer.verdict) == MARTLET_PROXY.rawValue else { return .forwarded }
    let egress = answer.egressProxyRules
    return try said((egress == 0 ? [] : [egress]) + [answer.proxyRules])
  }

  /// As `fate`, told by `PolicyVerdicts` from the compiled entries alone.
  func prediction(_ question: Question) throws -> Fate? {
    guard let verdicts else { return nil }
    func identity(_ end: WorldEnd) -> NumericIdentity? {
      switch end {
      case .pod(let pod): return pod.identity
      case .host(let host):
        if host.node == nil, let entity = ReservedIdentity.allCases.first(where: { $0.name == host.entity }) {
          return entity.identity
        }
        return end.address(ipv6: question.ipv6).flatMap { IPAddress($0) }.map(verdicts.identity)
      }
    }
    guard let from = identity(question.from), let to = identity(question.to) else { return nil }
    switch verdicts.answer(from: from, to: to, protocol: question.number, port: question.port) {
    case .allow: return .forwarded
    case .deny(_, rule: 0): return .notAllowed
    case .deny: return .denied
    case .unreadable: return .unreadable
    case .proxy(let sets): return try said(sets.map(\.id))
    }
  }

  struct UnexpectedDrop: Error {
    let reason: UInt32
  }

  /// What passes all of these sets; nothing passes two that read different protocols.
  private func said(_ ids: [UInt32]) throws -> Fate {
    let sets = ids.compactMap { ruleSets[$0] }
    guard sets.count == ids.count, let kind = sets.first?.kind, sets.allSatisfy({ $0.kind == kind }) else {
      return .unreadable
    }
    func passing(_ names: [String], _ matchers: [NameRuleMatcher]) -> [Bool] {
      names.map { name in matchers.allSatisfy { $0.decide(name) != .deny } }
    }
    switch kind {
    case .http:
      let matchers = try sets.compactMap(\.http).map { try HTTPRuleMatcher($0) }
      return .requests(
        Question.requests.map { request in
          let description = HTTPRequestDescription(method: request.0, path: request.1)
          return matchers.allSatisfy { $0.decide(description) != .deny }
        })
    case .dns: return .names(passing(Question.names, sets.compactMap(\.dns).map { NameRuleMatcher($0) }))
    case .tls: return .serverNames(passing(Question.serverNames, sets.compactMap(\.tls).map { NameRuleMatcher($0) }))
    }
  }
}

extension WorldPod {
  fileprivate var identity: NumericIdentity { NumericIdentity(rawValue: 1000 + UInt32(number)) }

  fileprivate var endpoint: DatapathEndpoint {
    DatapathEndpoint(
      id: UInt32(number), addresses: [false, true].compactMap { IPAddress(address(ipv6: $0)) }, interfaceIndex: 1,
      identity: identity, podMAC: mac(2),
      hostMAC: mac(1))
  }
}

extension WorldPod {
  private func mac(_ end: UInt64) -> MACAddress { MACAddress(random: end << 40 | UInt64(number) << 32) }
}
