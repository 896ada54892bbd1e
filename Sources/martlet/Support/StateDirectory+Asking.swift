import ArgumentParser
import Files
import JSON
import NodeAPI

extension StateDirectory {
  /// Asks this instance's agent; ends the program with exit code 3 and a hint when it can not be reached.
  func ask<Answer>(_ question: (NodeClient) throws(NodeError) -> Answer) throws -> Answer {
    do throws(NodeError) {
      return try question(NodeClient(socketPath: agentSocket))
    } catch {
      complain("\(error)")
      if case .malformed = error { throw ExitCode(error.exitCode) }
      if error.exitCode == 3 {
        complain("is `martlet up` running? --state-dir or $MARTLET_STATE_DIR names its directory")
      }
      throw ExitCode(error.exitCode)
    }
  }
}
