import CNI
import Clocks
import Glibc
import JSON

// From nothing to a process that serves its ports.
extension PodMachine {
  mutating func setUp() async {
    let record = record
    let sandbox = context.sandbox
    do throws(WorkloadError) {
      // What an attempt left goes first: half a sandbox is none.
      if hasSandbox { try await tearDown() }
      hasSandbox = true
      self.record.addresses = try await context.pool.run { () throws(WorkloadError) in try sandbox.create(record) }
      attempts = 0
      status.addresses = self.record.addresses
      // A new Pod of an old name does not begin with the other's words.
      truncate(record.log, 0)
      await startContainer()
    } catch {
      let failures = attempts + 1
      // Given back at once, so that nothing is taken while it is of no use; what does not go is removed before the next
      // attempt.
      try? await tearDown()
      attempts = failures
      let pause = PodMachine.backoff(attempts, base: 100, maximum: 10_000)
      logger.warning("the sandbox can not be made: \(error)", metadata: ["pause": "\(pause) ms"])
      status.container = .waiting(reason: "ContainerCreating", message: error.description)
      await publish()
      schedule(.retrySetup, milliseconds: pause)
    }
  }

  mutating func startContainer() async {
    let record = record
    let workload = workload
    let configuration = context.configuration
    generation += 1
    do throws(WorkloadError) {
      let command = try ContainerCommand(
        workload, addresses: record.addresses, hostAddress: configuration.hostAddresses.first,
        inherited: configuration.environment)
      let started = try await context.pool.run { () throws(WorkloadError) in
        try ContainerProcess.start(
          command, netns: record.netns, cgroup: Cgroup(path: record.cgroup), log: record.log)
      }
      do {
        process = try context.watcher.watch(pid: started.pid) { [send, generation] in
          send(.exited(generation: generation, $0))
        }
      } catch {
        _ = Glibc.kill(started.pid, SIGKILL)
        waitpid(started.pid, nil, 0)
        throw WorkloadError.file(error)
      }
      self.record.pid = started.pid
      self.record.processStart = started.start
      self.record.containerStartTime = Timestamp.nowText
      startedAt = Clock.monotonicMilliseconds()
      self.record.restartCount = status.restartCount
      saveRecord()
      status.container = .running(startedAt: self.record.containerStartTime)
      portChecks = 0
      status.ready = servedPorts.isEmpty
      await publish()
      schedule(.checkPorts(generation: generation), milliseconds: 5)
    } catch {
      logger.error("the process can not be started: \(error)")
      let now = Timestamp.nowText
      var termination = WorkloadStatus.Termination(.code(error.exitCode), startedAt: now, finishedAt: now)
      termination.reason = "StartError"
      termination.message = error.description
      await ended(termination)
    }
  }

  private var servedPorts: Set<UInt16> { Set(workload.container.ports.filter(\.isTCP).map(\.port)) }

  /// Ready means that something listens on every TCP port that the container declares; looked at often at first, rarely
  /// later.
  mutating func checkPorts() async {
    let wanted = servedPorts
    guard !wanted.isEmpty, case .running = status.container else { return }
    let pid = record.pid
    let listening = await context.pool.run { ListeningPorts.ofProcess(pid) }
    let isReady = (ending == nil || ending == .deleted) && wanted.isSubset(of: listening)
    if isReady != status.ready {
      status.ready = isReady
      await publish()
    }
    portChecks += 1
    let pause =
      ending != nil ? 100 : isReady ? 5000 : PodMachine.backoff(portChecks, base: 10, maximum: 500)
    schedule(.checkPorts(generation: generation), milliseconds: pause)
  }

  /// Goes on with what an earlier runtime left: the process if it still runs, else the policy for one that has ended.
  mutating func adopt(_ left: PodRecord) async {
    record = left
    hasSandbox = true
    status.addresses = left.addresses
    status.startTime = left.startTime
    status.restartCount = left.restartCount
    if left.isProcessAlive {
      generation += 1
      let notify = { @Sendable [send, generation] (exit: ProcessExit) in send(.exited(generation: generation, exit)) }
      process = try? context.watcher.watch(pid: left.pid, isExpected: { left.isProcessAlive }, notify: notify)
    }
    if process != nil {
      logger.info("adopted", metadata: ["pid": "\(left.pid)"])
      status.container = .running(startedAt: left.containerStartTime)
      status.ready = servedPorts.isEmpty || status.ready
      if workload.isBeingDeleted { return await end(.deleted, grace: workload.gracePeriod) }
      await publish()
      schedule(.checkPorts(generation: generation), milliseconds: 5)
      return
    }
    if workload.isBeingDeleted { return await end(.deleted, grace: 0) }
    if left.pid > 0 { return await ended(.unknown) }
    // Interrupted before the first process, or between two: a new sandbox is the sure way.
    if ["Succeeded", "Failed"].contains(workload.phase) {
      (status.isFinal, isTold) = (true, true)
      await release()
    } else {
      await setUp()
    }
  }
}

extension WorkloadError {
  /// As shells have it: 127 for what is not found, 126 for what can not be executed, 128 else.
  fileprivate var exitCode: Int32 {
    switch self {
    case .spawn(_, _, ENOENT): 127
    case .spawn: 126
    default: 128
    }
  }
}
