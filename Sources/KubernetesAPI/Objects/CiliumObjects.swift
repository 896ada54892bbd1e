import Addressing
import JSON
import Labels

/// `cilium.io/v2` CiliumIdentity: the number that stands for a set of labels; its name is the number.
public struct CiliumIdentity: KubernetesObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumidentities", kind: "CiliumIdentity", namespaced: false)

  /// The annotation by which the operator says that nobody has used the identity since then (RFC 3339), and that it will
  /// delete the object. Who takes the identity into use removes it.
  public static let unusedSince = "martlet.io/unused-since"

  public let metadata: ObjectMeta
  public let identity: UInt32
  /// With the source in each key: `k8s:app`.
  public let securityLabels: LabelSet

  public var isMarkedUnused: Bool { metadata.annotations[Self.unusedSince] != nil }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: false)
    guard let identity = UInt32(metadata.name) else {
      throw FieldError(path: "metadata.name", message: "\"\(metadata.name)\" is not the number of an identity")
    }
    self.identity = identity
    _ = try cursor.required("security-labels")
    securityLabels = try cursor.stringMap("security-labels")
  }
}

/// `cilium.io/v2` CiliumEndpoint: what other nodes have to know of a pod's endpoint; it has the pod's name.
public struct CiliumEndpoint: KubernetesObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumendpoints", kind: "CiliumEndpoint", namespaced: true)

  public let metadata: ObjectMeta
  /// On its node; nil before there is one.
  public let endpointID: Int64?
  public let identity: UInt32?
  /// Of both families.
  public let addresses: [IPAddress]
  public let nodeIP: IPAddress?
  /// `ready`, `waiting-for-identity`, ….
  public let state: String?

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    let status = try cursor.member("status")
    endpointID = try status?.member("id")?.integer()
    identity = try status?.member("identity")?.member("id")?.integer(in: 0...UInt32.max)
    let networking = try status?.member("networking")
    var addresses: [IPAddress] = []
    for pair in try networking?.member("addressing")?.elements() ?? [] {
      if let address = try pair.address("ipv4") { addresses.append(address) }
      if let address = try pair.address("ipv6") { addresses.append(address) }
    }
    self.addresses = addresses
    nodeIP = try networking?.address("node")
    state = try status?.member("state")?.string()
  }
}

/// `cilium.io/v2` CiliumNode: what other nodes have to know of a node.
public struct CiliumNode: KubernetesObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumnodes", kind: "CiliumNode", namespaced: false)

  public struct Address: Hashable, Sendable {
    /// `InternalIP`, `ExternalIP`, `CiliumInternalIP`, ….
    public let type: String
    public let ip: IPAddress
  }

  public let metadata: ObjectMeta
  public let addresses: [Address]
  public let podCIDRs: [CIDR]
  /// The public key of its WireGuard device, in base64.
  public let wireguardPublicKey: String?

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: false)
    let spec = try cursor.member("spec")
    addresses =
      try spec?.list("addresses") { (address) throws(FieldError) in
        Address(type: try address.required("type").string(), ip: try address.required("ip").address())
      } ?? []
    podCIDRs =
      try spec?.member("ipam")?.list("podCIDRs") { (block) throws(FieldError) in
        try CIDRPeer(prefix: block).cidr
      } ?? []
    wireguardPublicKey = metadata.annotations["network.cilium.io/wg-pub-key"]
  }
}

/// `cilium.io/v2` CiliumCIDRGroup: blocks of addresses under a name, for policies to refer to.
public struct CiliumCIDRGroup: KubernetesObject {
  public static let resource = ResourceType(
    group: "cilium.io", version: "v2", plural: "ciliumcidrgroups", kind: "CiliumCIDRGroup", namespaced: false)

  public let metadata: ObjectMeta
  public let cidrs: [CIDR]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: false)
    let spec = try cursor.required("spec")
    try spec.allowOnly(["externalCIDRs"])
    cidrs =
      try spec.list("externalCIDRs") { (block) throws(FieldError) in try CIDRPeer(prefix: block).cidr } ?? []
  }
}
