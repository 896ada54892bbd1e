import Datapath
import Logging
import Netlink
import Synchronization

/// Ends the sockets of this node's clients whose backends have gone, so that their programs hear of it at once and connect
/// anew. On a task of its own: a walk over all sockets must not hold up what the next connection gets.
final class ClientTermination: Sendable {
  private let sockets: SocketTermination
  private let logger: Logger
  private let inbox = Inbox<Set<UInt32>>()
  private let state = Mutex(State())

  private struct State {
    var ended = 0
    var failure: String?
  }

  init(_ sockets: SocketTermination, logger: Logger) {
    self.sockets = sockets
    self.logger = logger
  }

  /// Sockets that were ended since the agent's start.
  var ended: Int { state.withLock { $0.ended } }

  /// Takes the kernel's numbers of backends. Returns at once.
  func end(_ backends: Set<UInt32>) { inbox.add(backends) }

  /// Works until the task is cancelled.
  ///
  /// - Parameter namespaces: the paths of the pods' network namespaces, as they are now.
  func run(namespaces: @Sendable () async -> [String]) async {
    for await batch in inbox.batches() {
      let paths = await namespaces()
      do {
        let outcome = try sockets.terminate(backends: batch.reduce(into: []) { $0.formUnion($1) }) {
          // One that has gone meanwhile took its sockets with it.
          [try NetworkNamespace.current()] + paths.compactMap { try? NetworkNamespace(path: $0) }
        }
        state.withLock { $0.ended += outcome.ended }
        if outcome.ended > 0 { logger.info("\(outcome.ended) connections ended whose backends have gone") }
        say(outcome.failure)
      } catch {
        say("\(error)")
      }
    }
  }

  /// Once for each reason: what the kernel can not do it can not do the next time either.
  private func say(_ failure: String?) {
    let isNew = state.withLock { state in
      defer { state.failure = failure ?? state.failure }
      return failure != nil && state.failure != failure
    }
    if isNew, let failure { logger.warning("clients are not told that their backends have gone: \(failure)") }
  }
}
