import Addressing
import CNI
import Datapath
import Identity
import KubernetesAPI
import Policy

/// A pod of this node, as the agent keeps it.
struct Endpoint: Sendable {
  let id: UInt32
  var attachment: PodAttachment
  var interfaceIndex: UInt32
  var identity: NumericIdentity
  var labels: IdentityLabels
  var namedPorts: Set<NamedPort>
  /// Its policy is judged and reported, but drops nothing.
  var isAudit = false
  /// Its identity's object was there when last looked at, and the policy in force is that identity's.
  var isSettled = false

  /// Not to one of the same name that came after it.
  func belongs(to pod: Pod) -> Bool { attachment.podUID.isEmpty || attachment.podUID == pod.metadata.uid }

  var podKey: ObjectKey {
    ObjectKey(kind: Pod.resource.kind, namespace: attachment.podNamespace, name: attachment.podName)
  }

  var datapath: DatapathEndpoint {
    DatapathEndpoint(
      id: id, addresses: attachment.addresses, interfaceIndex: interfaceIndex, identity: identity,
      podMAC: attachment.podMAC, hostMAC: attachment.hostMAC, isAudit: isAudit)
  }
}

extension Pod {
  /// Whether its policies are only watched.
  var isAudit: Bool { metadata.annotations[PolicyMode.podAnnotation] == PolicyMode.podAnnotationValue }

  /// The labels that make this pod's identity.
  func identityLabels(namespaceLabels: [String: String], cluster: String) -> IdentityLabels {
    IdentityLabels(
      podLabels: metadata.labels, namespace: metadata.namespace ?? "default", namespaceLabels: namespaceLabels,
      serviceAccount: spec.serviceAccountName, cluster: cluster)
  }

  var namedPorts: Set<NamedPort> {
    var named: Set<NamedPort> = []
    for port in spec.containers.flatMap(\.ports) {
      guard let name = port.name, let known = TransportProtocol(name: port.protocol.rawValue) else { continue }
      named.insert(NamedPort(name: name, protocol: known.rawValue, port: port.containerPort))
    }
    return named
  }
}
