import Addressing
import Identity
import JSON
import KubernetesAPI
import Labels
import Policy

/// A pod of the tests' cluster.
struct TestPod: Hashable {
  let namespace: String
  let name: String
  let labels: LabelSet
  var account = "default"
  var ports: Set<NamedPort> = []
  let identity: NumericIdentity

  var identityLabels: IdentityLabels {
    IdentityLabels(
      podLabels: labels, namespace: namespace, namespaceLabels: ["team": "team-\(namespace)"], serviceAccount: account)
  }
}

/// The other end of a connection.
enum TestPeer: Hashable, CustomStringConvertible {
  case pod(TestPod)
  case reserved(ReservedIdentity)
  case address(IPAddress)

  var description: String {
    switch self {
    case .pod(let pod): "\(pod.namespace)/\(pod.name)"
    case .reserved(let reserved): reserved.name
    case .address(let address): "\(address)"
    }
  }

  func identity(_ kernel: KernelLookup) -> NumericIdentity {
    switch self {
    case .pod(let pod): pod.identity
    case .reserved(let reserved): reserved.identity
    case .address(let address): kernel.identity(address)
    }
  }
}

struct Cluster {
  var pods: [TestPod] = []

  mutating func add(
    _ namespace: String, _ name: String, _ labels: LabelSet = [:], account: String = "default",
    ports: Set<NamedPort> = []
  ) {
    pods.append(
      TestPod(
        namespace: namespace, name: name, labels: labels, account: account, ports: ports,
        identity: NumericIdentity(rawValue: UInt32(1000 + pods.count))))
  }

  /// `namespace/name`, the name of a reserved identity, or an address.
  func peer(_ text: String) -> TestPeer? {
    if let pod = pods.first(where: { "\($0.namespace)/\($0.name)" == text }) { return .pod(pod) }
    if let reserved = ReservedIdentity.allCases.first(where: { $0.name == text }) { return .reserved(reserved) }
    return IPAddress(text).map { .address($0) }
  }

  func snapshot(_ documents: [PolicyDocument], nodes: NodeIdentities = NodeIdentities()) -> PolicySnapshot {
    PolicySnapshot(
      identities: Dictionary(
        uniqueKeysWithValues: pods.map {
          ($0.identity, IdentityDetails(labels: $0.identityLabels, namedPorts: $0.ports))
        }),
      subjects: Set(pods.map(\.identity)), policies: documents, nodes: nodes)
  }
}

/// Reads a CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy.
func document(_ value: JSONValue) throws -> PolicyDocument {
  value["kind"]?.stringValue == CiliumClusterwideNetworkPolicy.resource.kind
    ? PolicyDocument(try CiliumClusterwideNetworkPolicy(value)) : PolicyDocument(try CiliumNetworkPolicy(value))
}

/// A namespaced policy with this spec, or a clusterwide one without a namespace.
func policy(_ name: String = "p", namespace: String? = "default", spec: JSONValue) -> JSONValue {
  var metadata: JSONValue = ["name": .string(name)]
  if let namespace { metadata["namespace"] = .string(namespace) }
  return [
    "apiVersion": "cilium.io/v2",
    "kind": namespace == nil ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy",
    "metadata": metadata, "spec": spec,
  ]
}
