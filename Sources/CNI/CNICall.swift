import JSON
import NodeAPI

/// What the plugin asks over the node API (`POST /v1/cni`), from the agent's side.
public enum CNICall: Hashable, Sendable {
  case add(CNIInvocation, CNIConfiguration)
  case delete(CNIAttachmentKey)
  case check(CNIInvocation, CNIConfiguration)
  case status
  /// Remove every attachment of the network but these.
  case collectGarbage(network: String, keeping: [CNIAttachmentKey])

  public init(_ request: CNIRequest) throws(CNIError) {
    let invocation = try CNIInvocation(request)
    switch invocation.command {
    case .add: self = .add(invocation, try CNIConfiguration(request.config, for: .add))
    case .delete: self = .delete(invocation.key)
    case .check: self = .check(invocation, try CNIConfiguration(request.config, for: .check))
    case .status: self = .status
    case .collectGarbage:
      let configuration = try CNIConfiguration(request.config, for: .collectGarbage)
      self = .collectGarbage(network: configuration.name, keeping: configuration.validAttachments)
    case .version: throw CNIError(.invalidEnvironment, "VERSION is the plugin's own to answer")
    }
  }
}

/// The agent's answer to a `CNICall`, always with HTTP status 200: a failure of CNI is not one of the node API, whose errors
/// carry no code of the specification.
public enum CNIReply {
  public static func success(_ result: AttachmentResult? = nil) -> JSONValue {
    result?.json(version: .current) ?? [:]
  }

  public static func failure(_ error: CNIError) -> JSONValue { error.json(version: CNIVersion.current.rawValue) }

  /// The plugin's side: the answer, or the failure that it tells of.
  static func result(_ answer: JSONValue) throws(CNIAgentError) -> JSONValue {
    guard let code = answer["code"]?.integerValue else { return answer }
    throw .failed(
      CNIError(
        CNIError.Code(rawValue: code) ?? .agentFailure, answer["msg"]?.stringValue ?? "failed",
        details: answer["details"]?.stringValue ?? ""))
  }
}
