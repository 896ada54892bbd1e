import Files
import JSON

/// Why the agent has no answer for the plugin.
public enum CNIAgentError: Error, Hashable, Sendable {
  /// Nobody listens, or the connection broke: what was asked may be asked again later.
  case unreachable(String)
  case failed(CNIError)
}

/// What the plugin asks the node's agent. All of it is idempotent.
public protocol CNIAgent {
  func add(_ invocation: CNIInvocation, _ configuration: CNIConfiguration) throws(CNIAgentError) -> AttachmentResult
  func delete(_ key: CNIAttachmentKey) throws(CNIAgentError)
  func check(_ invocation: CNIInvocation, _ configuration: CNIConfiguration) throws(CNIAgentError)
  func status() throws(CNIAgentError)
  /// Removes every attachment of the network that the configuration does not list as valid.
  func collectGarbage(_ configuration: CNIConfiguration) throws(CNIAgentError)
}

/// What one execution of the plugin prints and returns.
public struct CNIOutcome: Hashable, Sendable {
  /// For standard output; empty for commands without an answer.
  public var output: [UInt8]
  public var exitCode: Int32

  public init(output: [UInt8], exitCode: Int32) {
    self.output = output
    self.exitCode = exitCode
  }
}

/// The CNI plugin `martlet cni`: judges what the runtime asks, lets the node's agent do it and renders the answer in the
/// version that the runtime speaks. It holds no state and touches no device itself.
public enum CNIPlugin {
  /// - Parameters:
  ///   - stdin: The network configuration.
  ///   - connect: Makes the agent behind a unix socket.
  public static func run(
    environment: [String: String], stdin: [UInt8],
    connect: (_ socket: String) -> any CNIAgent = { NodeCNIAgent(socketPath: $0) }
  ) -> CNIOutcome {
    do throws(CNIError) {
      let invocation = try CNIInvocation(environment: environment)
      if invocation.command == .version { return try version(stdin) }
      let configuration = try CNIConfiguration(parsing: stdin, for: invocation.command)
      guard configuration.version >= invocation.command.since else {
        throw CNIError(
          .incompatibleVersion,
          "cniVersion: \(configuration.version.rawValue) does not know \(invocation.command.rawValue)")
      }
      let socket = socketPath(configuration, environment)
      let agent = connect(socket)
      return try perform(invocation, configuration, agent, stateDirectory: directory(of: socket))
    } catch {
      return failure(error, stdin)
    }
  }

  /// `agentSocket` of the configuration, or `agent.sock` in `$MARTLET_STATE_DIR`, or in /var/lib/martlet.
  public static func socketPath(_ configuration: CNIConfiguration, _ environment: [String: String]) -> String {
    if let socket = configuration.agentSocket { return socket }
    let named = environment["MARTLET_STATE_DIR"].flatMap { $0.isEmpty ? nil : $0 }
    return StateDirectory(named ?? StateDirectory.defaultPath).agentSocket
  }

  private static func directory(of socket: String) -> String {
    guard let slash = socket.lastIndex(of: "/") else { return "." }
    return String(socket[..<slash])
  }

  private static func perform(
    _ invocation: CNIInvocation, _ configuration: CNIConfiguration, _ agent: any CNIAgent, stateDirectory: String
  ) throws(CNIError) -> CNIOutcome {
    do {
      switch invocation.command {
      case .add:
        return success(try agent.add(invocation, configuration).json(version: configuration.version))
      case .delete: try delete(invocation.key, agent, PendingDeletes(stateDirectory: stateDirectory))
      case .check: try agent.check(invocation, configuration)
      case .status: try agent.status()
      case .collectGarbage: try agent.collectGarbage(configuration)
      case .version: break
      }
      return CNIOutcome(output: [], exitCode: 0)
    } catch let error as CNIAgentError {
      switch error {
      case .failed(let error): throw error
      case .unreachable(let reason):
        let code: CNIError.Code = invocation.command == .status ? .unavailable : .tryAgainLater
        throw CNIError(code, "the agent can not be reached", details: reason)
      }
    } catch let error as CNIError {
      throw error
    } catch {
      throw CNIError(.ioFailure, "\(error)")
    }
  }

  /// Succeeds without an agent: the delete is written down for it. The second attempt and the agent's second look, when it
  /// listens, close the gap: either the agent listened in time for the attempt or the record was there for the look.
  private static func delete(_ key: CNIAttachmentKey, _ agent: any CNIAgent, _ pending: PendingDeletes) throws {
    do {
      try agent.delete(key)
    } catch CNIAgentError.unreachable {
      do { try pending.add(key) } catch {
        throw CNIError(.ioFailure, "the delete can not be kept", details: "\(error)")
      }
      do {
        try agent.delete(key)
        try pending.remove(key)
      } catch CNIAgentError.unreachable {
        return
      }
    }
  }

  private static func version(_ stdin: [UInt8]) throws(CNIError) -> CNIOutcome {
    var asked = CNIVersion.current.rawValue
    // Runtimes before 0.4.0 sent no configuration with VERSION.
    if !stdin.isEmpty, let text = try CNIConfiguration.document(stdin)["cniVersion"]?.stringValue { asked = text }
    return success([
      "cniVersion": .string(asked),
      "supportedVersions": .array(CNIVersion.allCases.map { .string($0.rawValue) }),
    ])
  }

  private static func success(_ document: JSONValue) -> CNIOutcome {
    CNIOutcome(output: document.serialized() + [10], exitCode: 0)
  }

  /// Errors name the version that the runtime asked in, so that it can read them.
  private static func failure(_ error: CNIError, _ stdin: [UInt8]) -> CNIOutcome {
    let asked = (try? JSONValue(parsing: stdin))?["cniVersion"]?.stringValue ?? CNIVersion.current.rawValue
    return CNIOutcome(output: error.json(version: asked).serialized() + [10], exitCode: 1)
  }
}
