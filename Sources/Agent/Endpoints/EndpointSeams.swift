import Addressing
import CNI
import Datapath
import Identity
import KubernetesAPI
import Policy

// What the endpoints of a node need of its other parts, so that races between them can be staged in tests.

/// The kernel's entries and programs.
protocol EndpointKernel: Sendable {
  func entries() throws -> [(address: IPAddress, id: UInt32, identity: UInt32)]
  func set(_ endpoint: DatapathEndpoint) throws
  /// Makes the map hold just these.
  func reconcile(_ endpoints: [DatapathEndpoint]) throws
  func remove(_ addresses: [IPAddress]) throws
  func attach(interface: String, index: UInt32) throws
  func detach(interface: String) throws
  func attachedInterfaces() throws -> Set<String>
  /// Whether both programs are on a device.
  func isAttached(index: UInt32) throws -> Bool
  /// Those of the devices that have no place for programs, asked with one question.
  func withoutQdisc(_ indexes: Set<UInt32>) throws -> Set<UInt32>
  func forgetConnections(of addresses: [IPAddress]) throws
  /// Has every connection judged again.
  func bumpRevision() throws
}

/// The pods' interfaces.
protocol PodDevices: Sendable {
  /// nil when the attachment's device is gone.
  func index(of attachment: PodAttachment) throws -> UInt32?
  /// Makes a pod's device pair. `attach` gets the name and the index of the host's end before that is up.
  func create(
    _ invocation: CNIInvocation, uid: String, addresses: [IPAddress], mtu: Int,
    attach: @escaping @Sendable (String, UInt32) throws -> Void
  ) async throws -> (PodAttachment, UInt32)
  func remove(_ hostInterface: String)
  /// Throws what of the pod's interface is not as ADD made it.
  func check(_ attachment: PodAttachment, expecting expected: AttachmentResult?) async throws
}

/// The compiled policy.
protocol PolicySink: Sendable {
  /// Returns when the change is in force.
  func apply(_ delta: PolicyDelta) async
  /// To be called with all pods in audit mode, `namespace/name` by their identities, when that changes.
  func setWatchedPods(_ pods: [NumericIdentity: [String]]) async
}

/// Who tells the cluster of endpoints.
protocol EndpointReports: Sendable {
  func publish(_ endpoint: Endpoint)
  func withdraw(_ attachment: PodAttachment)
}

extension PolicyController: PolicySink {}

extension PodInterfaces: PodDevices {}

/// The node's datapath, as endpoints use it.
struct NodeKernel: EndpointKernel {
  let datapath: Datapath

  func entries() throws -> [(address: IPAddress, id: UInt32, identity: UInt32)] {
    try datapath.endpoints.entries().map { ($0.address, $0.id, $0.identity) }
  }
  func set(_ endpoint: DatapathEndpoint) throws { try datapath.endpoints.set(endpoint) }
  func reconcile(_ endpoints: [DatapathEndpoint]) throws { try datapath.endpoints.reconcile(endpoints) }
  func remove(_ addresses: [IPAddress]) throws { try datapath.endpoints.remove(addresses) }
  func attach(interface: String, index: UInt32) throws { try datapath.attach(interface: interface, index: index) }
  func detach(interface: String) throws { try datapath.detach(interface: interface) }
  func attachedInterfaces() throws -> Set<String> { try datapath.attachedInterfaces() }
  func isAttached(index: UInt32) throws -> Bool { try datapath.isAttached(index: index) }
  func withoutQdisc(_ indexes: Set<UInt32>) throws -> Set<UInt32> { try Datapath.withoutQdisc(indexes) }
  func forgetConnections(of addresses: [IPAddress]) throws {
    try datapath.connections.remove(addresses: Set(addresses))
    try datapath.translations.remove(addresses: Set(addresses))
  }
  func bumpRevision() throws { try datapath.bumpRevision() }
}
