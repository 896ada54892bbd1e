import Addressing
import JSON

/// `networking.k8s.io/v1` NetworkPolicy. Strict: what is not understood is refused.
public struct NetworkPolicy: KubernetesObject {
  public static let resource = ResourceType(
    group: "networking.k8s.io", version: "v1", plural: "networkpolicies", kind: "NetworkPolicy", namespaced: true)

  public let metadata: ObjectMeta
  public let podSelector: EndpointSelector
  /// Which directions the policy is about; worked out from the rules where the object does not say.
  public let policyTypes: Set<TrafficRule.Direction>
  public let ingress: [NetworkPolicyRule]
  public let egress: [NetworkPolicyRule]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    try cursor.allowOnly(["apiVersion", "kind", "metadata", "spec", "status"])
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    let spec = try cursor.required("spec")
    try spec.allowOnly(["podSelector", "policyTypes", "ingress", "egress"])
    podSelector = try spec.member("podSelector").map(EndpointSelector.init(kubernetes:)) ?? EndpointSelector([])
    ingress =
      try spec.list("ingress") { (rule) throws(FieldError) in try NetworkPolicyRule(rule, peers: "from") } ?? []
    egress = try spec.list("egress") { (rule) throws(FieldError) in try NetworkPolicyRule(rule, peers: "to") } ?? []
    let types = try spec.list("policyTypes") { (type) throws(FieldError) -> TrafficRule.Direction in
      switch try type.string() {
      case "Ingress": .ingress
      case "Egress": .egress
      case let other: throw type.error("must be Ingress or Egress, is \"\(other)\"")
      }
    }
    policyTypes = types.map(Set.init) ?? (egress.isEmpty ? [.ingress] : [.ingress, .egress])
  }
}

/// One element of `ingress` or `egress`. Peers and ports must both match; an absent or empty list of either matches
/// everything.
public struct NetworkPolicyRule: Hashable, Sendable {
  public let peers: [NetworkPolicyPeer]
  public let ports: [NetworkPolicyPort]
  public let path: String

  init(_ cursor: JSONCursor, peers key: String) throws(FieldError) {
    try cursor.allowOnly([key, "ports"])
    peers = try cursor.list(key, NetworkPolicyPeer.init) ?? []
    ports = try cursor.list("ports", NetworkPolicyPort.init) ?? []
    path = cursor.path
  }
}

/// One element of `from` or `to`.
public struct NetworkPolicyPeer: Hashable, Sendable {
  public enum Peer: Hashable, Sendable {
    /// Pods in namespaces. `pods` nil: all pods of the namespaces. `namespaces` nil: the policy's own.
    case pods(pods: EndpointSelector?, namespaces: EndpointSelector?)
    case block(CIDR, except: [CIDRPeer])
  }

  public let peer: Peer
  public let path: String

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["podSelector", "namespaceSelector", "ipBlock"])
    path = cursor.path
    let pods = try cursor.member("podSelector").map(EndpointSelector.init(kubernetes:))
    let namespaces = try cursor.member("namespaceSelector").map(EndpointSelector.init(kubernetes:))
    guard let block = try cursor.member("ipBlock") else {
      guard pods != nil || namespaces != nil else {
        throw cursor.error("needs podSelector, namespaceSelector or ipBlock")
      }
      peer = .pods(pods: pods, namespaces: namespaces)
      return
    }
    guard pods == nil, namespaces == nil else { throw block.error("can not stand beside a selector") }
    try block.allowOnly(["cidr", "except"])
    let cidr = try CIDRPeer(prefix: try block.required("cidr")).cidr
    let except = try block.list("except", CIDRPeer.init(prefix:)) ?? []
    for exception in except where !cidr.contains(exception.cidr) {
      throw FieldError(path: exception.path, message: "\(exception.cidr) is not within \(cidr)")
    }
    peer = .block(cidr, except: except)
  }
}

/// One element of `ports`.
public struct NetworkPolicyPort: Hashable, Sendable {
  /// nil means every port of the protocol.
  public let port: PortProtocol.Port?
  public let endPort: UInt16?
  public let `protocol`: L4Protocol
  public let path: String

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["port", "endPort", "protocol"])
    `protocol` = try cursor.transportProtocol()
    port = try cursor.member("port")?.portOrName()
    path = cursor.path
    guard let member = try cursor.member("endPort") else {
      endPort = nil
      return
    }
    let end: UInt16 = try member.integer(in: 1...UInt16.max)
    guard case .number(let start)? = port else { throw member.error("needs a port number to start from") }
    guard end >= start else { throw member.error("\(end) is below the port \(start)") }
    endPort = end
  }
}

extension EndpointSelector {
  /// A selector of Kubernetes' own kinds, whose keys have no source: they mean labels of the source `k8s`.
  init(kubernetes cursor: JSONCursor) throws(FieldError) {
    let selector = try EndpointSelector(cursor)
    var requirements: [Requirement] = []
    for requirement in selector.requirements {
      guard requirement.key.source == LabelKey.anySource else {
        throw FieldError(path: requirement.path, message: "\"\(requirement.key)\" is not a label key")
      }
      let key = LabelKey(source: "k8s", name: requirement.key.name)
      requirements.append(Requirement(key: key, operation: requirement.operation, path: requirement.path))
    }
    self.init(requirements, path: selector.path)
  }
}
