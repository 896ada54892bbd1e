import Addressing
import JSON

/// `v1` Pod: one workload of the mesh.
public struct Pod: KubernetesObject {
  public static let resource = ResourceType(group: "", version: "v1", plural: "pods", kind: "Pod", namespaced: true)

  public let metadata: ObjectMeta
  public let spec: PodSpec
  public let status: PodStatus
  /// The whole document, with the fields that the typed form does not name.
  public let raw: JSONValue

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    try cursor.expect(Self.resource)
    metadata = try ObjectMeta(of: cursor, namespaced: true)
    spec = try PodSpec(try cursor.required("spec"))
    status = try PodStatus(try cursor.member("status"))
    raw = cursor.value
  }
}

public struct PodSpec: Hashable, Sendable {
  /// nil until the pod is scheduled.
  public let nodeName: String?
  /// `default` where the object names none.
  public let serviceAccountName: String
  /// The pod lives in the node's own network namespace and has no endpoint.
  public let hostNetwork: Bool
  public let containers: [Container]
  /// Seconds; nil leaves it to the node.
  public let terminationGracePeriodSeconds: Int64?

  init(_ cursor: JSONCursor) throws(FieldError) {
    nodeName = try cursor.member("nodeName")?.string()
    serviceAccountName = try cursor.member("serviceAccountName")?.string() ?? "default"
    hostNetwork = try cursor.member("hostNetwork")?.bool() ?? false
    containers = try cursor.list("containers", Container.init) ?? []
    terminationGracePeriodSeconds = try cursor.member("terminationGracePeriodSeconds")?.integer()
  }
}

public struct PodStatus: Hashable, Sendable {
  /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`; nil before anything is known.
  public let phase: String?
  public let podIP: IPAddress?
  /// One per family at most.
  public let podIPs: [IPAddress]
  public let conditions: [Condition]

  init(_ cursor: JSONCursor?) throws(FieldError) {
    phase = try cursor?.member("phase")?.string()
    podIP = try cursor?.address("podIP")
    podIPs =
      try cursor?.list("podIPs") { (entry) throws(FieldError) in
        try entry.required("ip").address()
      } ?? []
    conditions = try cursor?.list("conditions", Condition.init) ?? []
  }

  /// The `Ready` condition is true.
  public var isReady: Bool { conditions.contains { $0.type == "Ready" && $0.status == "True" } }
}

extension JSONCursor {
  func address() throws(FieldError) -> IPAddress {
    let text = try string()
    guard let address = IPAddress(text) else { throw error("\"\(text)\" is not an IP address") }
    return address
  }

  /// The address at `key`; nil when it is absent, empty or `None` (as in a headless Service).
  func address(_ key: String) throws(FieldError) -> IPAddress? {
    guard let member = try member(key), !["", "None"].contains(try member.string()) else { return nil }
    return try member.address()
  }
}
