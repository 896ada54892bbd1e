import ControlPlane
import Files
import NodeAPI
import Threads
import Workloads

/// Reads what pods wrote, for `kubectl logs`.
enum PodLogReader {
  static func read(_ request: PodLogRequest, directory: StateDirectory) -> PodLog {
    let (stream, continuation) = PodLog.makeStream()
    let stopped = Flag()
    continuation.onTermination = { _ in stopped.set() }
    DetachedThread.start {
      // A pod that has written nothing yet has no log.
      try? PodLogs.read(
        stateDirectory: directory.path, namespace: request.namespace, name: request.name, tail: request.tailLines,
        follow: request.follow
      ) { piece in
        continuation.yield(Array(piece))
        return !stopped.isSet
      }
      continuation.finish()
    }
    return stream
  }
}
