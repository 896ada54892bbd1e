import Addressing
import JSON

/// `v1` Namespace.
public struct Namespace: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "namespaces", kind: "Namespace", namespaced: false)

  public let metadata: ObjectMeta

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: false)
  }
}

/// `v1` Node.
public struct Node: KubernetesObject {
  public static let resource = ResourceType(group: "", version: "v1", plural: "nodes", kind: "Node", namespaced: false)

  public let metadata: ObjectMeta
  /// The blocks that its pods have addresses from, one per family at most.
  public let podCIDRs: [CIDR]
  /// Its addresses of the types `InternalIP` and `ExternalIP`.
  public let internalIPs: [IPAddress]
  public let externalIPs: [IPAddress]

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: false)
    podCIDRs =
      try cursor.member("spec")?.list("podCIDRs") { (block) throws(FieldError) in
        try CIDRPeer(prefix: block).cidr
      } ?? []
    var byType: [String: [IPAddress]] = [:]
    for entry in try cursor.member("status")?.member("addresses")?.elements() ?? [] {
      let type = try entry.required("type").string()
      // Other types are names, not addresses.
      guard type == "InternalIP" || type == "ExternalIP" else { continue }
      byType[type, default: []].append(try entry.required("address").address())
    }
    internalIPs = byType["InternalIP"] ?? []
    externalIPs = byType["ExternalIP"] ?? []
  }
}

/// `v1` ServiceAccount.
public struct ServiceAccount: KubernetesObject {
  public static let resource = ResourceType(
    group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount", namespaced: true)

  public let metadata: ObjectMeta

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
  }
}
