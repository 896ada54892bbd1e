import JSON
import NodeAPI

/// The agent behind its unix socket.
public struct NodeCNIAgent: CNIAgent {
  private let client: NodeClient

  public init(socketPath: String, timeout: Duration = .seconds(30)) {
    client = NodeClient(socketPath: socketPath, timeout: timeout)
  }

  public func add(
    _ invocation: CNIInvocation, _ configuration: CNIConfiguration
  ) throws(CNIAgentError) -> AttachmentResult {
    let answer = try ask(CNIRequest(invocation, configuration))
    do throws(FieldError) {
      return try AttachmentResult(JSONCursor(answer))
    } catch {
      throw .failed(CNIError(.agentFailure, "the agent's answer is malformed", details: error.description))
    }
  }

  public func delete(_ key: CNIAttachmentKey) throws(CNIAgentError) {
    _ = try ask(
      CNIRequest(
        command: CNICommand.delete.rawValue, containerID: key.containerID, netns: "", ifname: key.interfaceName,
        args: [:], config: [:]))
  }

  public func check(_ invocation: CNIInvocation, _ configuration: CNIConfiguration) throws(CNIAgentError) {
    _ = try ask(CNIRequest(invocation, configuration))
  }

  public func status() throws(CNIAgentError) {
    _ = try ask(
      CNIRequest(
        command: CNICommand.status.rawValue, containerID: "", netns: "", ifname: "", args: [:], config: [:]))
  }

  public func collectGarbage(_ configuration: CNIConfiguration) throws(CNIAgentError) {
    _ = try ask(
      CNIRequest(
        command: CNICommand.collectGarbage.rawValue, containerID: "", netns: "", ifname: "", args: [:],
        config: configuration.json))
  }

  private func ask(_ request: CNIRequest) throws(CNIAgentError) -> JSONValue {
    let answer: JSONValue
    do throws(NodeError) {
      answer = try client.post("/v1/cni", request.json)
    } catch {
      switch error {
      case .unreachable, .timedOut: throw .unreachable(error.description)
      case .refused, .malformed: throw .failed(CNIError(.agentFailure, error.description))
      }
    }
    return try CNIReply.result(answer)
  }
}

extension CNIRequest {
  fileprivate init(_ invocation: CNIInvocation, _ configuration: CNIConfiguration) {
    self.init(
      command: invocation.command.rawValue, containerID: invocation.containerID, netns: invocation.netns,
      ifname: invocation.interfaceName, args: invocation.arguments, config: configuration.json)
  }
}
