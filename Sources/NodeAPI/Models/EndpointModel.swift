import JSON

/// One pod's connection to the mesh: `GET /v1/endpoints`, `GET /v1/endpoints/NAMESPACE/POD`.
public struct EndpointModel: NodeModel {
  public enum State: String, Hashable, Sendable, CaseIterable {
    case waitingForIdentity = "waiting-for-identity"
    case regenerating
    case ready
    case disconnecting
  }

  /// Unique on the node.
  public let id: UInt32
  public let namespace: String
  public let pod: String
  /// With their sources: `k8s:app`.
  public let labels: [String: String]
  /// 0 while it has none.
  public let identity: UInt32
  public let ipv4: String?
  public let ipv6: String?
  /// The host's side of the veth pair.
  public let ifname: String
  public let state: State
  /// Whether what no rule allows is denied.
  public let enforcesIngress: Bool
  public let enforcesEgress: Bool
  /// What policy denies is reported, and let through.
  public let isAudit: Bool
  /// `web=80/TCP`: the container ports that have names.
  public let namedPorts: [String]
  /// The TCP ports that something listens on; nil when that was not asked for, by `?listening=true`, or is not known.
  public let listening: [UInt16]?

  public init(
    id: UInt32, namespace: String, pod: String, labels: [String: String], identity: UInt32, ipv4: String?,
    ipv6: String?, ifname: String, state: State, enforcesIngress: Bool, enforcesEgress: Bool,
    isAudit: Bool = false, namedPorts: [String] = [], listening: [UInt16]? = nil
  ) {
    self.id = id
    self.namespace = namespace
    self.pod = pod
    self.labels = labels
    self.identity = identity
    self.ipv4 = ipv4
    self.ipv6 = ipv6
    self.ifname = ifname
    self.state = state
    self.enforcesIngress = enforcesIngress
    self.enforcesEgress = enforcesEgress
    self.isAudit = isAudit
    self.namedPorts = namedPorts
    self.listening = listening
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    var listening: [UInt16]?
    for port in try cursor.member("listening")?.elements() ?? [] {
      guard let number = UInt16(exactly: try port.integer()) else { throw port.error("out of range") }
      listening = (listening ?? []) + [number]
    }
    if try cursor.member("listening") != nil, listening == nil { listening = [] }
    self.init(
      id: try cursor.number("id"), namespace: try cursor.required("namespace").string(),
      pod: try cursor.required("pod").string(), labels: try cursor.texts("labels"),
      identity: try cursor.number("identity"), ipv4: try cursor.optionalText("ipv4"),
      ipv6: try cursor.optionalText("ipv6"), ifname: try cursor.text("ifname"), state: try cursor.choice("state"),
      enforcesIngress: try cursor.flag("enforcesIngress"), enforcesEgress: try cursor.flag("enforcesEgress"),
      isAudit: try cursor.member("audit")?.bool() ?? false, namedPorts: try cursor.strings("namedPorts"),
      listening: listening)
  }

  public var json: JSONValue {
    .compact([
      "id": .number(id), "namespace": .string(namespace), "pod": .string(pod), "labels": .texts(labels),
      "identity": .number(identity), "ipv4": .text(ipv4), "ipv6": .text(ipv6), "ifname": .string(ifname),
      "state": .string(state.rawValue), "enforcesIngress": .bool(enforcesIngress),
      "enforcesEgress": .bool(enforcesEgress), "audit": .bool(isAudit),
      "namedPorts": .array(namedPorts.map { .string($0) }),
      "listening": listening.map { .array($0.map { .number($0) }) } ?? .null,
    ])
  }
}

/// `GET /v1/identities`.
public struct IdentityModel: NodeModel {
  public let id: UInt32
  public let labels: [String: String]
  /// Endpoints of this node that have it.
  public let endpointCount: Int

  public init(id: UInt32, labels: [String: String], endpointCount: Int) {
    self.id = id
    self.labels = labels
    self.endpointCount = endpointCount
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      id: try cursor.number("id"), labels: try cursor.texts("labels"),
      endpointCount: try cursor.number("endpointCount"))
  }

  public var json: JSONValue {
    ["id": .number(id), "labels": .texts(labels), "endpointCount": .number(endpointCount)]
  }
}
