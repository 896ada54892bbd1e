import Addressing
import CNI
import Datapath
import Files
import Identity
import JSON
import KubernetesAPI
import Logging
import NodeAPI
import Policy
import Synchronization
import TestSupport

@testable import Agent

/// An `EndpointManager` over a kernel, devices and a policy that only take notes and can be made to wait.
final class NodeLab: EndpointKernel, PodDevices, PolicySink, EndpointReports {
  private struct State {
    var endpoints: [IPAddress: DatapathEndpoint] = [:]
    var attached: Set<String> = []
    var devices: Set<String> = []
    var subjects: Set<NumericIdentity> = []
    var published: [String: NumericIdentity] = [:]
    var stripped = false
    var watched: [[NumericIdentity: [String]]] = []
  }

  let api = MemoryObjects()
  let directory = NodeDirectory()
  let identities: IdentityService
  var path: String { folder.path }
  private let folder: TemporaryDirectory
  let configuration: AgentConfiguration
  /// What the next steps wait for.
  let creating = Mutex<Gate?>(nil)
  let applying = Mutex<Gate?>(nil)
  private let state = Mutex(State())

  init() throws {
    folder = try TemporaryDirectory()
    let blocks = ["10.1.0.0/24", "fd00:1::/64"].compactMap { CIDR($0) }
    configuration = AgentConfiguration(directory: StateDirectory(folder.path), nodeName: "node", podCIDRs: blocks)
    identities = IdentityService(api: api, logger: Logger(label: "test"))
    try configuration.directory.create()
    api.put(Namespace.resource, NodeLab.namespace([:]))
  }

  func manager() throws -> EndpointManager {
    try EndpointManager(
      configuration: configuration, kernel: self, devices: self, policy: self, reports: self, api: api,
      identities: identities, directory: directory, logger: Logger(label: "test"))
  }

  // MARK: Objects

  static func namespace(_ labels: [String: JSONValue]) -> JSONValue {
    ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default", "labels": .object(labels)]]
  }

  @discardableResult
  func pod(
    _ name: String = "web", uid: String = "u1", app: String = "web", annotations: JSONValue = [:]
  ) throws -> Pod {
    try Pod(
      api.put(
        Pod.resource,
        [
          "apiVersion": "v1", "kind": "Pod",
          "metadata": [
            "name": .string(name), "namespace": "default", "uid": .string(uid), "labels": ["app": .string(app)],
            "annotations": annotations,
          ],
          "spec": ["containers": [["name": "c"]]],
        ]))
  }

  static func add(_ container: String = "c1", pod: String = "web") throws -> CNIInvocation {
    try CNIInvocation(environment: [
      "CNI_COMMAND": "ADD", "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0", "CNI_NETNS": "/run/netns/x",
      "CNI_ARGS": "K8S_POD_NAMESPACE=default;K8S_POD_NAME=\(pod)", "CNI_PATH": "/",
    ])
  }

  // MARK: What there is

  var kernelIdentities: Set<NumericIdentity> { state.withLock { Set($0.endpoints.values.map(\.identity)) } }
  var subjects: Set<NumericIdentity> { state.withLock { $0.subjects } }
  var published: [String: NumericIdentity] { state.withLock { $0.published } }

  /// Names of the devices.
  var present: Set<String> { state.withLock { $0.devices } }

  /// The kinds of things that are left of pods.
  func leftovers() throws -> [String] {
    let records = try StateFiles.list(path + "/cni/attachments")
    return state.withLock { state in
      [
        (state.endpoints.isEmpty, "entries"), (state.attached.isEmpty, "programs"), (state.devices.isEmpty, "devices"),
        (state.subjects.isEmpty, "policies"), (state.published.isEmpty, "objects"), (records.isEmpty, "records"),
      ].filter { !$0.0 }.map(\.1)
    }
  }

  // MARK: Seams

  func entries() throws -> [(address: IPAddress, id: UInt32, identity: UInt32)] {
    state.withLock { $0.endpoints.map { ($0.key, $0.value.id, $0.value.identity.rawValue) } }
  }
  func set(_ endpoint: DatapathEndpoint) throws {
    state.withLock { state in for address in endpoint.addresses { state.endpoints[address] = endpoint } }
  }
  func reconcile(_ endpoints: [DatapathEndpoint]) throws {
    state.withLock { $0.endpoints = [:] }
    for endpoint in endpoints { try set(endpoint) }
  }
  func remove(_ addresses: [IPAddress]) throws {
    state.withLock { state in for address in addresses { state.endpoints[address] = nil } }
  }
  func attach(interface: String, index: UInt32) throws {
    state.withLock { state in
      state.attached.insert(interface)
      state.stripped = false
    }
  }
  func detach(interface: String) { state.withLock { _ = $0.attached.remove(interface) } }
  func attachedInterfaces() -> Set<String> { state.withLock { $0.attached } }
  func isAttached(index: UInt32) -> Bool { !state.withLock { $0.stripped } }
  func withoutQdisc(_ indexes: Set<UInt32>) -> Set<UInt32> { state.withLock { $0.stripped } ? indexes : [] }
  func check(_ attachment: PodAttachment, expecting expected: AttachmentResult?) async throws {}
  /// As if somebody had removed the programs from all devices.
  func strip() { state.withLock { $0.stripped = true } }
  func forgetConnections(of addresses: [IPAddress]) throws {}
  func bumpRevision() throws {}

  func index(of attachment: PodAttachment) throws -> UInt32? {
    state.withLock { $0.devices.contains(attachment.hostInterface) } ? 7 : nil
  }

  func create(
    _ invocation: CNIInvocation, uid: String, addresses: [IPAddress], mtu: Int,
    attach: @escaping @Sendable (String, UInt32) throws -> Void
  ) async throws -> (PodAttachment, UInt32) {
    await creating.withLock { $0 }?.pass()
    let name = PodInterface.hostName(for: invocation.key)
    state.withLock { _ = $0.devices.insert(name) }
    try attach(name, 7)
    let attachment = PodAttachment(
      key: invocation.key, podNamespace: invocation.podNamespace, podName: invocation.podName, podUID: uid,
      netns: invocation.netns, hostInterface: name, hostMAC: MACAddress(random: 1), podMAC: MACAddress(random: 2),
      mtu: mtu, addresses: addresses, createdAt: 1)
    return (attachment, 7)
  }

  func remove(_ hostInterface: String) { state.withLock { _ = $0.devices.remove(hostInterface) } }

  func apply(_ delta: PolicyDelta) async {
    await applying.withLock { $0 }?.pass()
    state.withLock { state in
      state.subjects.subtract(delta.removedSubjects)
      state.subjects.formUnion(delta.addedSubjects)
    }
  }

  func setWatchedPods(_ pods: [NumericIdentity: [String]]) async { state.withLock { $0.watched.append(pods) } }
  /// What policy was told of pods in audit mode, each time.
  var watched: [[NumericIdentity: [String]]] { state.withLock { $0.watched } }

  func publish(_ endpoint: Endpoint) {
    state.withLock { $0.published[endpoint.attachment.podName] = endpoint.identity }
  }
  func withdraw(_ attachment: PodAttachment) { state.withLock { $0.published[attachment.podName] = nil } }
}
