import CNI
import Clocks
import Files
import Glibc
import JSON

// From a process to nothing.
extension PodMachine {
  mutating func ended(_ exit: ProcessExit) async {
    await ended(
      WorkloadStatus.Termination(exit, startedAt: record.containerStartTime, finishedAt: Timestamp.nowText))
  }

  /// The container's process has ended (or could not begin): what is left of the container goes, then its policy decides.
  mutating func ended(_ termination: WorkloadStatus.Termination) async {
    process = nil
    record.pid = 0
    status.ready = false
    let cgroup = Cgroup(path: record.cgroup)
    await context.pool.run { try? cgroup.kill() }
    let runsAgain = workload.restartPolicy.restarts(after: termination.exit)
    guard ending == nil else {
      status.container = .terminated(termination)
      // A runtime that starts later goes on with what is to be restarted.
      status.isFinal = ending != .stopped || !runsAgain
      return await finish()
    }
    guard runsAgain else {
      status.container = .terminated(termination)
      status.isFinal = true
      status.addresses = []
      return await release()
    }
    status.lastTermination = termination
    status.restartCount += 1
    record.restartCount = status.restartCount
    saveRecord()
    let lived = Clock.monotonicMilliseconds() - startedAt
    crashes = lived >= PodMachine.longLife ? 1 : crashes + 1
    let pause = PodMachine.backoff(crashes, base: 500, maximum: 300_000)
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
    if isFirst, ending == .stopped, status.isFinal { isTold = true }
    guard let process else {
      // Every status that is told comes back as a change: that must not bring the next attempt forward.
      if isTeardownScheduled, ending == .deleted { return }
      return await finish()
    }
    graceToken += 1
    guard grace > 0 else { return await kill() }
    schedule(.graceOver(token: graceToken), milliseconds: grace * 1000)
    guard isFirst else { return }
    context.watcher.signal(process, SIGTERM)
    // Ready as long as it serves, as with a kubelet: whoever balances learns from the deletion that it is about to end.
    if ending == .deleted { return schedule(.checkPorts(generation: generation), milliseconds: 10) }
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
    guard await tryTearDown() else { return }
    switch ending {
    case .removed: break
    case .stopped:
      status.addresses = []
      if status.phase != "Succeeded", workload.restartPolicy == .never, !isTold {
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
        // The object stays for the next runtime, which finds nothing else to do.
        if isStopping {
          isFinished = true
          return
        }
        return retryTeardown(milliseconds: 1000)
      } catch {
        // Gone, as it should be.
      }
    }
    if ending != .stopped { unlink(record.log) }
    isFinished = true
  }

  /// Gives back the sandbox of a Pod that has ended and whose object stays.
  mutating func release() async {
    if await tryTearDown() { await publish() }
  }

  /// False when something is left. It is tried again, for as long as it takes, and the Pod's status says so; only a
  /// runtime that wants to end leaves it to the next one.
  private mutating func tryTearDown() async -> Bool {
    do {
      try await tearDown()
    } catch {
      attempts += 1
      if isStopping, attempts >= PodMachine.attemptsWhileStopping {
        logger.error("gave up cleaning up; the next start of the runtime tries again: \(error)")
        isFinished = true
        return false
      }
      let pauses = context.configuration.teardownPauses
      let pause = PodMachine.backoff(
        attempts, base: pauses.lowerBound, maximum: isStopping ? min(2000, pauses.upperBound) : pauses.upperBound)
      logger.warning("the sandbox can not be removed: \(error)", metadata: ["pause": "\(pause) ms"])
      retryTeardown(milliseconds: pause)
      status.reason = PodMachine.teardownFailed
      status.message = "\(error); tried \(attempts) times, next in \(pause) ms"
      await publish()
      return false
    }
    if status.reason == PodMachine.teardownFailed { (status.reason, status.message) = ("", "") }
    return true
  }

  private mutating func retryTeardown(milliseconds: Int64) {
    isTeardownScheduled = true
    schedule(.retryTeardown, milliseconds: milliseconds)
  }

  /// Throws when something is left; the record then stays, too.
  mutating func tearDown() async throws(WorkloadError) {
    guard hasSandbox else { return }
    let record = record
    let sandbox = context.sandbox
    let store = context.store
    try await context.pool.run { () throws(WorkloadError) in
      try sandbox.destroy(record)
      do throws(FileError) { try store.remove(uid: record.uid) } catch { throw .file(error) }
    }
    hasSandbox = false
    attempts = 0
  }

  static let teardownFailed = "TeardownFailed"
  /// About eight seconds.
  private static let attemptsWhileStopping = 8
  /// In milliseconds: ten minutes, after which a kubelet forgets earlier crashes too.
  private static let longLife: Int64 = 600_000
}
