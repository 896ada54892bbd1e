import Addressing
import JSON
import KubernetesAPI
import Labels

/// What a Service's slices say about a pod, and no more: a change of anything else is no reason to write.
struct SlicePod: Hashable, Sendable {
  struct NamedPort: Hashable, Sendable {
    let name: String
    let `protocol`: L4Protocol
  }

  let namespace: String
  let name: String
  let uid: String
  let labels: LabelSet
  let addresses: [IPAddress]
  let isReady: Bool
  let isTerminating: Bool
  let nodeName: String?
  let hostname: String?
  let subdomain: String?
  let ports: [NamedPort: UInt16]

  /// nil for a pod that serves nobody: one without an address, or one that has ended.
  init?(_ pod: Pod) {
    addresses = pod.status.podIPs.isEmpty ? pod.status.podIP.map { [$0] } ?? [] : pod.status.podIPs
    guard !addresses.isEmpty, !["Succeeded", "Failed"].contains(pod.status.phase) else { return nil }
    namespace = pod.metadata.namespace ?? "default"
    name = pod.metadata.name
    uid = pod.metadata.uid
    labels = pod.metadata.labels
    isReady = pod.status.isReady
    isTerminating = pod.metadata.isBeingDeleted
    nodeName = pod.spec.nodeName
    hostname = pod.raw[path: "spec", "hostname"]?.stringValue
    subdomain = pod.raw[path: "spec", "subdomain"]?.stringValue
    var ports: [NamedPort: UInt16] = [:]
    for port in pod.spec.containers.flatMap(\.ports) {
      guard let name = port.name else { continue }
      let key = NamedPort(name: name, protocol: port.protocol)
      if ports[key] == nil { ports[key] = port.containerPort }
    }
    self.ports = ports
  }

  func address(_ family: IPFamily) -> IPAddress? { addresses.first { IPFamily(of: $0) == family } }
}
