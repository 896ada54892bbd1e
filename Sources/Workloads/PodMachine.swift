import CNI
import Clocks
import Glibc
import JSON
import Logging

/// The state of one Pod's controller.
struct PodMachine {
  let context: PodContext
  let send: @Sendable (PodEvent) -> Void
  var workload: Workload
  var status: WorkloadStatus
  var record: PodRecord
  var logger: Logger

  /// Nothing of the Pod is left on the node.
  var isFinished = false
  /// Something of a sandbox may be there: true from before the first step of making it until the last of removing it.
  var hasSandbox = false
  /// The watcher's token of the process that runs.
  var process: UInt64?
  /// Counts processes, so that late events of an earlier one are told apart.
  var generation = 0
  var ending: Ending?
  /// Failures in a row to make or to remove the sandbox.
  var attempts = 0
  /// A teardown that failed waits for its next attempt.
  var isTeardownScheduled = false
  /// Its end came before this runtime, or before the runtime was asked to end: what the API has of it is the whole story.
  var isTold = false
  /// The runtime wants to end and waits for this Pod.
  var isStopping = false
  /// Ends of the container in a row, none of them after a long life: what the pause before the next start grows by.
  var crashes = 0
  /// When the container's process was started, by CLOCK_MONOTONIC in milliseconds.
  var startedAt: Int64 = 0
  var portChecks = 0
  var graceToken = 0

  /// Why the Pod comes to its end.
  enum Ending {
    /// Its object waits for the node to let go.
    case deleted
    /// Its object is gone already.
    case removed
    /// The runtime stops; the object stays.
    case stopped
  }

  init(
    _ workload: Workload, document: JSONValue, context: PodContext, send: @escaping @Sendable (PodEvent) -> Void
  ) {
    self.workload = workload
    self.context = context
    self.send = send
    let configuration = context.configuration
    status = WorkloadStatus()
    status.hostAddresses = configuration.hostAddresses
    status.restore(from: document)
    record = PodRecord(
      uid: workload.uid, namespace: workload.namespace, name: workload.name,
      netns: "/run/netns/\(configuration.namespaceName(uid: workload.uid))",
      cgroup: "\(context.cgroups)/\(workload.uid)",
      log: PodRuntimeConfiguration.logPath(
        stateDirectory: configuration.stateDirectory, namespace: workload.namespace, name: workload.name),
      pid: 0, processStart: 0, addresses: [], startTime: status.startTime ?? Timestamp.nowText, containerStartTime: "",
      restartCount: status.restartCount, gracePeriod: workload.gracePeriod)
    status.startTime = record.startTime
    logger = context.logger
    logger[metadataKey: "pod"] = "\(workload.key)"
  }

  mutating func begin(_ left: PodRecord?) async {
    if let left { return await adopt(left) }
    if workload.isBeingDeleted { return await end(.deleted, grace: workload.gracePeriod) }
    switch workload.phase {
    case "Succeeded", "Failed":
      (status.isFinal, isTold) = (true, true)
    case "Running" where workload.restartPolicy == .never:
      // It ran before this machine or this state directory came up; never means not twice.
      await fail(reason: "NodeRestarted", message: "the process is gone and restartPolicy is Never")
    default: await setUp()
    }
  }

  mutating func handle(_ event: PodEvent) async {
    switch event {
    case .changed(let workload):
      self.workload = workload
      if workload.isBeingDeleted { await end(.deleted, grace: workload.gracePeriod) }
    case .removed: await end(.removed, grace: 0)
    case .stop:
      isStopping = true
      await end(.stopped, grace: min(workload.gracePeriod, context.configuration.stopGracePeriod))
    case .exited(let generation, let exit): if generation == self.generation { await ended(exit) }
    case .retrySetup: if process == nil, ending == nil, !status.isFinal { await setUp() }
    case .restart: if hasSandbox, process == nil, ending == nil { await startContainer() }
    case .checkPorts(let generation): if generation == self.generation, process != nil { await checkPorts() }
    case .graceOver(let token): if token == graceToken, process != nil { await kill() }
    case .retryTeardown:
      isTeardownScheduled = false
      if ending != nil { await finish() } else if status.isFinal { await release() }
    case .publish: await publish()
    }
  }

  /// Tells the API; tries again later by itself when it can not be reached.
  mutating func publish() async {
    if isTold { return }
    let patch = status.patch(for: workload, now: Timestamp.nowText)
    guard ending.map({ $0 != .removed }) ?? true else { return }
    do {
      try await context.api.patchStatus(namespace: workload.namespace, name: workload.name, patch)
    } catch .failed(let message) {
      logger.warning("the status can not be told: \(message)")
      if ending != .stopped { schedule(.publish, milliseconds: 1000) }
    } catch {
      // Gone: the watch will say so too.
    }
  }

  func schedule(_ event: PodEvent, milliseconds: Int64) {
    Task { [send] in
      try? await Task.sleep(for: .milliseconds(milliseconds))
      send(event)
    }
  }

  /// Doubles from `base` to `maximum` milliseconds.
  static func backoff(_ attempt: Int, base: Int64, maximum: Int64) -> Int64 {
    min(maximum, base << Int64(min(max(attempt - 1, 0), 16)))
  }

  func saveRecord() {
    do { try context.store.save(record) } catch { logger.error("\(error)") }
  }
}
