/// Why a request to the agent failed.
public enum NodeError: Error, Hashable, Sendable {
  /// No agent listens at the socket, or it may not be reached. `reason` is the system's.
  case unreachable(socketPath: String, reason: String)
  /// The agent is there but has not answered in time.
  case timedOut(socketPath: String)
  /// The agent refused. `code` is the HTTP status.
  case refused(code: Int, message: String)
  /// The answer is not what the node API promises; most likely another version runs.
  case malformed(String)

  /// What a command exits with: 2 for what was asked wrongly, 3 where no agent answers, or none that can be understood.
  /// Never 1, which is for answers that are no.
  public var exitCode: Int32 {
    switch self {
    case .unreachable, .timedOut, .malformed: 3
    case .refused: 2
    }
  }
}

extension NodeError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreachable(let path, let reason): "can not reach the agent at \(path): \(reason)"
    case .timedOut(let path): "the agent at \(path) does not answer"
    case .refused(_, let message): message
    case .malformed(let message): "the agent's answer is malformed: \(message)"
    }
  }
}
