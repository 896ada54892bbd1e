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

  var podKey: ObjectKey {
    ObjectKey(kind: Pod.resource.kind, namespace: attachment.podNamespace, name: attachment.podName)
  }

  var datapath: DatapathEndpoint {
    DatapathEndpoint(
      id: id, addresses: attachment.addresses, interfaceIndex: interfaceIndex, identity: identity,
      podMAC: attachment.podMAC, hostMAC: attachment.hostMAC)
  }
}

extension Pod {
  /// The labels that make this pod's identity.
  func identityLabels(namespaceLabels: [String: String], cluster: String) -> IdentityLabels {
    IdentityLabels(
      podLabels: metadata.labels, namespace: metadata.namespace ?? "default", namespaceLabels: namespaceLabels,
      serviceAccount: spec.serviceAccountName, cluster: cluster)
  }

  var namedPorts: Set<NamedPort> {
    Set(
      spec.containers.flatMap(\.ports).compactMap { port in
        guard let name = port.name, !name.isEmpty else { return nil }
        return NamedPort(name: name, protocol: port.ipProtocol, port: port.containerPort)
      })
  }
}
