import CNI
import JSON
import Logging

/// What all controllers of a node share.
struct PodContext: Sendable {
  let configuration: PodRuntimeConfiguration
  let api: any PodAPI
  let pool: BlockingPool
  let watcher: ProcessWatcher
  let store: PodRecordStore
  let sandbox: PodSandbox
  /// The folder of this instance's cgroups.
  let cgroups: String
  let logger: Logger
}

/// What a Pod's controller reacts to.
enum PodEvent: Sendable {
  case changed(Workload)
  /// The object is gone from the API.
  case removed
  /// The runtime ends.
  case stop
  case exited(generation: Int, ProcessExit)
  /// Timers; a token that is no longer current is void.
  case retrySetup
  case restart
  case checkPorts(generation: Int)
  case graceOver(token: Int)
  case retryTeardown
  case publish
}

/// The life of one Pod: a state machine that takes one event after another. It holds no thread; whatever blocks runs on the
/// shared pool.
final class PodController: Sendable {
  let uid: String
  let key: String
  private let events: AsyncStream<PodEvent>
  private let continuation: AsyncStream<PodEvent>.Continuation

  init(uid: String, key: String) {
    self.uid = uid
    self.key = key
    (events, continuation) = AsyncStream.makeStream()
  }

  func send(_ event: PodEvent) { continuation.yield(event) }

  /// Returns when nothing of the Pod is left on the node. `record` is what an earlier runtime left.
  func run(_ workload: Workload, document: JSONValue, record: PodRecord?, context: PodContext) async {
    var machine = PodMachine(workload, document: document, context: context) { [continuation] in
      continuation.yield($0)
    }
    await machine.begin(record)
    var events = events.makeAsyncIterator()
    while !machine.isFinished, let event = await events.next() {
      await machine.handle(event)
    }
    continuation.finish()
  }
}
