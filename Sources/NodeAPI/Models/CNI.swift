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
