import JSON

/// What a node does for a Service: `GET /v1/services`.
public struct ServiceModel: NodeModel {
  /// Where clients send.
  public struct Frontend: NodeModel {
    /// The unspecified address of a family stands for every address of a node.
    public let address: String
    public let port: UInt16
    public let `protocol`: String
    /// `ClusterIP`, `NodePort`, `ExternalIP`, `LoadBalancer`, `HostPort`: one frontend may be several.
    public let kinds: [String]
    /// The Service's port that it is an address of.
    public let servicePort: UInt16
    /// The service's number in the kernel for clients of the cluster, and for everybody else; 0 for none.
    public let number: UInt32
    public let externalNumber: UInt32
    /// The backends that a new connection of the cluster's clients may get, `address:port`.
    public let backends: [String]
    /// Those that everybody else may get.
    public let externalBackends: [String]

    public init(
      address: String, port: UInt16, protocol: String, kinds: [String], servicePort: UInt16, number: UInt32,
      externalNumber: UInt32, backends: [String], externalBackends: [String]
    ) {
      self.address = address
      self.port = port
      self.protocol = `protocol`
      self.kinds = kinds
      self.servicePort = servicePort
      self.number = number
      self.externalNumber = externalNumber
      self.backends = backends
      self.externalBackends = externalBackends
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        address: try cursor.text("address"), port: try cursor.number("port"), protocol: try cursor.text("protocol"),
        kinds: try cursor.strings("kinds"), servicePort: try cursor.number("servicePort"),
        number: try cursor.number("number"),
        externalNumber: try cursor.number("externalNumber"), backends: try cursor.strings("backends"),
        externalBackends: try cursor.strings("externalBackends"))
    }

    public var json: JSONValue {
      [
        "address": .string(address), "port": .number(port), "protocol": .string(`protocol`),
        "kinds": .array(kinds.map(JSONValue.string)), "servicePort": .number(servicePort), "number": .number(number),
        "externalNumber": .number(externalNumber), "backends": .array(backends.map(JSONValue.string)),
        "externalBackends": .array(externalBackends.map(JSONValue.string)),
      ]
    }
  }

  /// An endpoint of one of its ports.
  public struct Backend: NodeModel {
    public let address: String
    public let port: UInt16
    /// The Service's port that it is behind.
    public let servicePort: UInt16
    public let `protocol`: String
    /// `ready`, `terminating`, `not-ready`, `drained`.
    public let state: String
    public let isLocal: Bool
    public let node: String?
    public let zone: String?
    /// 0-100.
    public let weight: Int
    /// In the kernel; 0 for none.
    public let number: UInt32

    public init(
      address: String, port: UInt16, servicePort: UInt16, protocol: String, state: String, isLocal: Bool, node: String?,
      zone: String?, weight: Int, number: UInt32
    ) {
      self.address = address
      self.port = port
      self.servicePort = servicePort
      self.protocol = `protocol`
      self.state = state
      self.isLocal = isLocal
      self.node = node
      self.zone = zone
      self.weight = weight
      self.number = number
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        address: try cursor.text("address"), port: try cursor.number("port"),
        servicePort: try cursor.number("servicePort"), protocol: try cursor.text("protocol"),
        state: try cursor.text("state"), isLocal: try cursor.flag("local"), node: try cursor.optionalText("node"),
        zone: try cursor.optionalText("zone"), weight: try cursor.number("weight"),
        number: try cursor.number("number"))
    }

    public var json: JSONValue {
      .compact([
        "address": .string(address), "port": .number(port), "servicePort": .number(servicePort),
        "protocol": .string(`protocol`), "state": .string(state), "local": .bool(isLocal), "node": .text(node),
        "zone": .text(zone), "weight": .number(weight), "number": .number(number),
      ])
    }
  }

  /// What passed here for one of its ports, at whichever of its addresses.
  public struct Traffic: NodeModel {
    public let port: UInt16
    public let `protocol`: String
    public let packetsToBackends: UInt64
    /// Of whole datagrams.
    public let bytesToBackends: UInt64
    public let packetsToClients: UInt64
    public let bytesToClients: UInt64

    public init(
      port: UInt16, protocol: String, packetsToBackends: UInt64, bytesToBackends: UInt64, packetsToClients: UInt64,
      bytesToClients: UInt64
    ) {
      self.port = port
      self.protocol = `protocol`
      self.packetsToBackends = packetsToBackends
      self.bytesToBackends = bytesToBackends
      self.packetsToClients = packetsToClients
      self.bytesToClients = bytesToClients
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        port: try cursor.number("port"), protocol: try cursor.text("protocol"),
        packetsToBackends: try cursor.number("packetsToBackends"),
        bytesToBackends: try cursor.number("bytesToBackends"),
        packetsToClients: try cursor.number("packetsToClients"),
        bytesToClients: try cursor.number("bytesToClients"))
    }

    public var json: JSONValue {
      [
        "port": .number(port), "protocol": .string(`protocol`), "packetsToBackends": .number(packetsToBackends),
        "bytesToBackends": .number(bytesToBackends), "packetsToClients": .number(packetsToClients),
        "bytesToClients": .number(bytesToClients),
      ]
    }
  }

  public let namespace: String
  public let name: String
  public let type: String
  /// `random` or `maglev`; nil without frontends.
  public let algorithm: String?
  /// Seconds; 0 for none.
  public let affinity: UInt32
  public let frontends: [Frontend]
  public let backends: [Backend]
  /// One for each port with frontends.
  public let traffic: [Traffic]
  /// What is not done as the Service asks.
  public let problems: [PolicyStatus.Problem]
  /// Why the kernel does not have it as it should; nil where it does.
  public let refusal: String?

  public init(
    namespace: String, name: String, type: String, algorithm: String?, affinity: UInt32, frontends: [Frontend],
    backends: [Backend], traffic: [Traffic], problems: [PolicyStatus.Problem], refusal: String?
  ) {
    self.namespace = namespace
    self.name = name
    self.type = type
    self.algorithm = algorithm
    self.affinity = affinity
    self.frontends = frontends
    self.backends = backends
    self.traffic = traffic
    self.problems = problems
    self.refusal = refusal
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      namespace: try cursor.text("namespace"), name: try cursor.text("name"), type: try cursor.text("type"),
      algorithm: try cursor.optionalText("algorithm"), affinity: try cursor.number("affinity"),
      frontends: try cursor.list("frontends", Frontend.init(decoding:)),
      backends: try cursor.list("backends", Backend.init(decoding:)),
      traffic: try cursor.list("traffic", Traffic.init(decoding:)),
      problems: try cursor.list("problems", PolicyStatus.Problem.init(decoding:)),
      refusal: try cursor.optionalText("refusal"))
  }

  public var json: JSONValue {
    .compact([
      "namespace": .string(namespace), "name": .string(name), "type": .string(type), "algorithm": .text(algorithm),
      "affinity": .number(affinity), "frontends": frontends.json, "backends": backends.json, "traffic": traffic.json,
      "problems": problems.json, "refusal": .text(refusal),
    ])
  }
}
