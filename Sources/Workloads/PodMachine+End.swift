import CNI
import Glibc
import JSON

// From a process to nothing.
extension PodMachine {
  mutating func ended(_ exit: ProcessExit) async {
    await ended(
      WorkloadStatus.Termination(exit, startedAt: record.containerStartTime, finishedAt: Clock.now()))
  }

  /// The container's process has ended (or could not begin): what is left of the container goes, then its policy decides.
  mutating func ended(_ termination: WorkloadStatus.Termination) async {
    process = nil
    record.pid = 0
    status.ready = false
    let cgroup = Cgroup(path: record.cgroup)
    await context.pool.run { try? cgroup.kill() }
    guard ending == nil else {
      status.container = .terminated(termination)
      status.isFinal = true
      return await finish()
    }
    let again =
      switch workload.restartPolicy {
      case .always: true
      case .onFailure: termination.exit != .code(0)
      case .never: false
      }
    guard again else {
      status.container = .terminated(termination)
      status.isFinal = true
      status.addresses = []
      await tearDown()
      return await publish()
    }
    status.lastTermination = termination
    status.restartCount += 1
    record.restartCount = status.restartCount
    saveRecord()
    let pause = PodMachine.backoff(Int(clamping: status.restartCount), base: 500, maximum: 300_000)
    status.container = .waiting(
      reason: "CrashLoopBackOff", message: "restarting in \(pause) ms; last: exit code \(termination.exit.code)")
    await publish()
    schedule(.restart, milliseconds: pause)
  }

  /// The Pod as a whole has failed without a process.
  mutating func fail(reason: String, message: String) async {
    status.reason = reason
    status.message = message
    status.isFinal = true
    status.addresses = []
    status.container = .waiting(reason: reason, message: message)
    await publish()
  }

  /// SIGTERM now, and SIGKILL to all of the cgroup when the grace period is over. A later call may shorten the period.
  mutating func end(_ ending: Ending, grace: Int64) async {
    let isFirst = self.ending == nil
    // Gone from the API outranks the rest, as there is no object left to care for.
    if isFirst || ending == .removed { self.ending = ending }
    guard let process else { return await finish() }
    graceToken += 1
    guard grace > 0 else { return await kill() }
    schedule(.graceOver(token: graceToken), milliseconds: grace * 1000)
    guard isFirst else { return }
    context.watcher.signal(process, SIGTERM)
    status.ready = false
    await publish()
  }

  /// The watcher then reports the end of the process.
  mutating func kill() async {
    guard let process else { return }
    let cgroup = Cgroup(path: record.cgroup)
    await context.pool.run { try? cgroup.kill() }
    // In case that the process has left its cgroup.
    context.watcher.signal(process, SIGKILL)
  }

  /// Removes everything, tells the API and lets the object go.
  mutating func finish() async {
    guard process == nil, !isFinished, let ending else { return }
    guard await tearDown() else {
      attempts += 1
      if attempts < 8 {
        return schedule(.retryTeardown, milliseconds: PodMachine.backoff(attempts, base: 100, maximum: 5000))
      }
      logger.error("gave up cleaning up; the next start of the runtime tries again")
      isFinished = true
      return
    }
    switch ending {
    case .removed: break
    case .stopped:
      status.addresses = []
      if status.phase != "Succeeded", workload.restartPolicy == .never {
        status.reason = "Terminated"
        status.message = "the node's runtime was stopped"
        status.isFinal = true
      }
      await publish()
    case .deleted:
      do {
        try await context.api.remove(namespace: workload.namespace, name: workload.name, uid: workload.uid)
      } catch .failed(let message) {
        logger.warning("the Pod can not be removed: \(message)")
        return schedule(.retryTeardown, milliseconds: 1000)
      } catch {
        // Gone, as it should be.
      }
    }
    if ending != .stopped { unlink(record.log) }
    isFinished = true
  }

  /// False when something is left; the record then stays, too.
  @discardableResult
  mutating func tearDown() async -> Bool {
    guard hasSandbox else { return true }
    let record = record
    let sandbox = context.sandbox
    let store = context.store
    do {
      try await context.pool.run { () throws(WorkloadError) in
        try sandbox.destroy(record)
        do throws(FileError) { try store.remove(uid: record.uid) } catch { throw .file(error) }
      }
      hasSandbox = false
      attempts = 0
      return true
    } catch {
      logger.warning("the sandbox can not be removed: \(error)")
      return false
    }
  }
}
