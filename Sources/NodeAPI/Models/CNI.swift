import JSON

/// What a container runtime asks of the plugin (CNI specification 1.1, section 2), handed on to the agent:
/// `POST /v1/cni`.
public struct CNIRequest: NodeModel {
  /// `ADD`, `DEL`, `CHECK`, `STATUS`, `GC`.
  public let command: String
  public let containerID: String
  /// The path of the network namespace; empty where there is none any more.
  public let netns: String
  /// The name of the interface in the container.
  public let ifname: String
  /// From CNI_ARGS: `K8S_POD_NAMESPACE`, `K8S_POD_NAME`, ….
  public let args: [String: String]
  /// The network configuration, as it came on standard input.
  public let config: JSONValue

  public init(
    command: String, containerID: String, netns: String, ifname: String, args: [String: String], config: JSONValue
  ) {
    self.command = command
    self.containerID = containerID
    self.netns = netns
    self.ifname = ifname
    self.args = args
    self.config = config
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      command: try cursor.required("command").string(), containerID: try cursor.text("containerID"),
      netns: try cursor.text("netns"), ifname: try cursor.text("ifname"), args: try cursor.texts("args"),
      config: try cursor.member("config")?.value ?? [:])
  }

  public var json: JSONValue {
    [
      "command": .string(command), "containerID": .string(containerID), "netns": .string(netns),
      "ifname": .string(ifname), "args": .texts(args), "config": config,
    ]
  }
}

/// The result of an ADD (CNI specification 1.1, section 5), in the specification's own JSON.
public struct CNIResult: NodeModel {
  public struct Interface: NodeModel {
    public let name: String
    public let mac: String
    public let mtu: Int
    /// The path of the network namespace; nil for an interface of the host.
    public let sandbox: String?

    public init(name: String, mac: String, mtu: Int, sandbox: String?) {
      self.name = name
      self.mac = mac
      self.mtu = mtu
      self.sandbox = sandbox
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        name: try cursor.required("name").string(), mac: try cursor.text("mac"), mtu: try cursor.number("mtu"),
        sandbox: try cursor.optionalText("sandbox"))
    }

    public var json: JSONValue {
      .compact(["name": .string(name), "mac": .string(mac), "mtu": .number(mtu), "sandbox": .text(sandbox)])
    }
  }

  public struct Address: NodeModel {
    /// With its prefix length: `10.0.0.2/32`.
    public let address: String
    public let gateway: String?
    /// Index into `interfaces`.
    public let interface: Int

    public init(address: String, gateway: String?, interface: Int) {
      self.address = address
      self.gateway = gateway
      self.interface = interface
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        address: try cursor.required("address").string(), gateway: try cursor.optionalText("gateway"),
        interface: try cursor.number("interface"))
    }

    public var json: JSONValue {
      .compact(["address": .string(address), "gateway": .text(gateway), "interface": .number(interface)])
    }
  }

  public struct Route: NodeModel {
    /// `0.0.0.0/0`.
    public let destination: String
    public let gateway: String?

    public init(destination: String, gateway: String?) {
      self.destination = destination
      self.gateway = gateway
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(destination: try cursor.required("dst").string(), gateway: try cursor.optionalText("gw"))
    }

    public var json: JSONValue { .compact(["dst": .string(destination), "gw": .text(gateway)]) }
  }

  public let cniVersion: String
  public let interfaces: [Interface]
  public let ips: [Address]
  public let routes: [Route]

  public init(cniVersion: String, interfaces: [Interface], ips: [Address], routes: [Route]) {
    self.cniVersion = cniVersion
    self.interfaces = interfaces
    self.ips = ips
    self.routes = routes
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      cniVersion: try cursor.required("cniVersion").string(),
      interfaces: try cursor.list("interfaces", Interface.init(decoding:)),
      ips: try cursor.list("ips", Address.init(decoding:)), routes: try cursor.list("routes", Route.init(decoding:)))
  }

  public var json: JSONValue {
    [
      "cniVersion": .string(cniVersion), "interfaces": interfaces.json, "ips": ips.json, "routes": routes.json,
      "dns": [:],
    ]
  }
}
