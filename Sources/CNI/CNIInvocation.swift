import NodeAPI

/// The parameters that a runtime passes in the environment (CNI 1.1.0, "Parameters").
public struct CNIInvocation: Hashable, Sendable {
  public var command: CNICommand
  public var containerID: String
  /// Path of the network namespace; empty where the command allows that.
  public var netns: String
  public var interfaceName: String
  /// CNI_ARGS by key, such as `K8S_POD_NAME`.
  public var arguments: [String: String]
  /// The folders of CNI_PATH.
  public var path: [String]

  public var key: CNIAttachmentKey { CNIAttachmentKey(containerID: containerID, interfaceName: interfaceName) }
  public var podNamespace: String { arguments["K8S_POD_NAMESPACE"] ?? "" }
  public var podName: String { arguments["K8S_POD_NAME"] ?? "" }
  public var podUID: String { arguments["K8S_POD_UID"] ?? "" }
  /// Whether the container is a Pod's. Other runtimes name the container at most (podman does), and no namespace.
  public var namesPod: Bool { !podNamespace.isEmpty && !podName.isEmpty }

  public init(environment: [String: String]) throws(CNIError) {
    guard let text = environment["CNI_COMMAND"], !text.isEmpty else {
      throw CNIError(.invalidEnvironment, "CNI_COMMAND: required")
    }
    guard let command = CNICommand(rawValue: text) else {
      throw CNIError(.invalidEnvironment, "CNI_COMMAND: \"\(text)\" is not a command of CNI")
    }
    self.command = command
    containerID = environment["CNI_CONTAINERID"] ?? ""
    netns = environment["CNI_NETNS"] ?? ""
    interfaceName = environment["CNI_IFNAME"] ?? ""
    path = (environment["CNI_PATH"] ?? "").split(separator: ":").map(String.init)
    arguments = [:]

    let needsContainer = command == .add || command == .delete || command == .check
    if needsContainer {
      try CNIInvocation.require("CNI_CONTAINERID", containerID, CNIIdentifier.isValid)
      try CNIInvocation.require("CNI_IFNAME", interfaceName, CNIIdentifier.isInterfaceName)
    }
    if command == .add || command == .check { try CNIInvocation.require("CNI_NETNS", netns) { $0.hasPrefix("/") } }
    // DEL must not fail for arguments that it does not use.
    if command == .add || command == .check {
      arguments = try CNIInvocation.arguments(environment["CNI_ARGS"] ?? "")
    }
  }

  /// The same parameters as they came over the node API.
  public init(_ request: CNIRequest) throws(CNIError) {
    try self.init(environment: [
      "CNI_COMMAND": request.command, "CNI_CONTAINERID": request.containerID, "CNI_NETNS": request.netns,
      "CNI_IFNAME": request.ifname,
    ])
    arguments = request.args
  }

  private static func require(
    _ name: String, _ value: String, _ isValid: (String) -> Bool
  ) throws(CNIError) {
    guard !value.isEmpty else { throw CNIError(.invalidEnvironment, "\(name): required") }
    guard isValid(value) else { throw CNIError(.invalidEnvironment, "\(name): \"\(value)\" is not valid") }
  }

  private static func arguments(_ text: String) throws(CNIError) -> [String: String] {
    var arguments: [String: String] = [:]
    for pair in text.split(separator: ";") {
      guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
        throw CNIError(.invalidEnvironment, "CNI_ARGS: \"\(pair)\" is not KEY=VALUE")
      }
      arguments[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
    }
    return arguments
  }
}
