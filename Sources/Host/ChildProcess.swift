import Logging
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A process of Martlet's own that is started again whenever it ends, until `stop`.
///
/// It is restarted at once the first time and then with a growing pause, so that a process that can not start does not
/// take the machine with it; ten seconds of life make the next restart immediate again.
final class ChildProcess: Sendable {
  private struct State {
    var current: ChildLife?
    /// What is to take the place of `current`, and whether it is still to be found out if it does.
    var candidate: ChildLife?
    var replacing: Task<Replaced, any Error>?
    /// Those whose place was taken, and which end by themselves.
    var retired: [ChildLife] = []
    var stopping = false
    /// The pause before the next life.
    var pause: Task<Void, Never>?

    var lives: [ChildLife] { retired + [candidate, current].compactMap { $0 } }
  }

  /// One process in the place of another.
  struct Replaced: Hashable, Sendable {
    let old: pid_t
    let new: pid_t
  }

  let name: String
  private let program: String
  private let arguments: [String]
  private let pidFile: String
  private let logger: Logger
  private let state = Mutex(State())
  /// Tells of each life that had the place when it has ended.
  private let ended: AsyncStream<ChildLife>
  private let end: AsyncStream<ChildLife>.Continuation

  /// `program` is this executable unless another one is given.
  init(
    name: String, program: String = Executable.path, arguments: [String], pidFile: String, logger: Logger
  ) {
    self.name = name
    self.program = program
    self.arguments = arguments
    self.pidFile = pidFile
    self.logger = logger
    (ended, end) = AsyncStream.makeStream(of: ChildLife.self)
  }

  /// The running process, 0 between two lives.
  var pid: pid_t { state.withLock { $0.current?.pid ?? 0 } }

  /// What is to take its place; nil when nothing is.
  var candidate: pid_t? { state.withLock { $0.candidate?.pid } }

  /// Starts the process and keeps it running; returns after `stop`.
  func run() async {
    var pause: UInt64 = 0
    var ends = ended.makeAsyncIterator()
    while !state.withLock({ $0.stopping }) {
      let started = ContinuousClock.now
      do throws(SpawnError) {
        let life = try await ChildLife.start(name, program, arguments)
        take(life)
        let end = await follow(&ends)
        if state.withLock({ $0.stopping }) { break }
        logger.warning("\(name) ended, \(end); starting it again")
      } catch {
        logger.error("\(error)")
      }
      if ContinuousClock.now - started > .seconds(10) { pause = 0 }
      let sleep = Task { [pause] in _ = try? await Task.sleep(for: .milliseconds(pause)) }
      state.withLock { state in
        if state.stopping { sleep.cancel() }
        state.pause = sleep
      }
      await sleep.value
      pause = min(max(pause * 2, 100), 5000)
    }
    for life in state.withLock(\.retired) { _ = await life.end }
  }

  /// Asks the process to end, and kills it when it has not after `grace`; `run` returns when it has.
  func stop(grace: Duration = .seconds(10)) {
    let lives = state.withLock { state in
      state.stopping = true
      state.pause?.cancel()
      return state.lives
    }
    for life in lives { life.signal(SIGTERM) }
    Task {
      try? await Task.sleep(for: grace)
      for life in state.withLock(\.lives) where life.ended == nil {
        logger.warning("\(name) (pid \(life.pid)) does not end by itself; killing it")
        life.signal(SIGKILL)
      }
    }
  }

  /// Makes `life` the process that `run` follows.
  private func take(_ life: ChildLife) {
    let isStopping = state.withLock { state in
      if let old = state.current { state.retired.append(old) }
      state.current = life
      state.candidate = nil
      return state.stopping
    }
    writePIDFile(life.pid)
    Task { [end] in
      _ = await life.end
      end.yield(life)
    }
    if isStopping { life.signal(SIGTERM) }
  }

  /// Returns when the process that has the place has ended, and how it ended.
  private func follow(_ ends: inout AsyncStream<ChildLife>.Iterator) async -> String {
    while let life = await ends.next() {
      // Who comes next is being found out.
      _ = await state.withLock(\.replacing)?.result
      let isOver = state.withLock { state in
        state.retired.removeAll { $0 === life }
        guard state.current === life else { return false }
        state.current = nil
        return true
      }
      let end = await life.end
      if isOver {
        unlink(pidFile)
        return end
      }
      logger.info("an earlier \(name) has ended, \(end)")
    }
    return "stopped"
  }

  // MARK: Another in its place

  /// Starts the program anew beside the running process, and returns once `serves` says of the new one that it has the old
  /// one's place, which ends when it has nothing left to do. When that does not happen, the old one stays.
  /// - Parameters:
  ///   - further: Arguments of this life alone.
  ///   - limit: The new process is killed when it does not serve by then.
  func replace(
    further: [String], within limit: Duration, serves: @escaping @Sendable (pid_t) -> Bool
  ) async throws -> Replaced {
    let task = try state.withLock { state in
      guard state.replacing == nil else { throw ReplacementError.underWay(name) }
      guard let old = state.current, !state.stopping else { throw ReplacementError.notRunning(name) }
      let task = Task {
        defer {
          self.state.withLock { state in
            state.candidate = nil
            state.replacing = nil
          }
        }
        return try await self.replace(old, further, limit, serves)
      }
      state.replacing = task
      return task
    }
    return try await task.value
  }

  private func replace(
    _ old: ChildLife, _ further: [String], _ limit: Duration, _ serves: (pid_t) -> Bool
  ) async throws -> Replaced {
    let life = try await ChildLife.start(name, program, arguments + further)
    let isStopping = state.withLock { state in
      state.candidate = life
      return state.stopping
    }
    if isStopping { life.signal(SIGTERM) }
    var deadline = ContinuousClock.now + limit
    var failure: ReplacementError?
    while true {
      if serves(life.pid) {
        take(life)
        return Replaced(old: old.pid, new: life.pid)
      }
      if failure == nil, let end = life.ended {
        failure = .ended(name, end, old: old.pid)
        // It may have had the place for a moment: then the old one is about to say so.
        deadline = .now + .seconds(1)
      }
      // Nobody is left who could say anything: the next life begins.
      if let failure, old.ended != nil { throw failure }
      if ContinuousClock.now >= deadline {
        if let failure { throw failure }
        failure = .slow(name, limit, old: old.pid)
        life.signal(SIGKILL)
        deadline = .now + .seconds(1)
      }
      try? await Task.sleep(for: .milliseconds(10))
    }
  }

  private func writePIDFile(_ pid: pid_t) {
    guard let file = fopen(pidFile, "w") else { return }
    fputs("\(pid)\n", file)
    fclose(file)
  }
}

/// Why a process has not taken the place of another.
enum ReplacementError: Error, Hashable, CustomStringConvertible {
  case underWay(String)
  case notRunning(String)
  case ended(String, String, old: pid_t)
  case slow(String, Duration, old: pid_t)

  var description: String {
    switch self {
    case .underWay(let name): "the \(name) is being replaced already"
    case .notRunning(let name): "the \(name) does not run now"
    case .ended(let name, let end, let old):
      "the new \(name) ended before it served (\(end)); the log of `martlet up` says why. The old one (pid \(old)) goes on"
    case .slow(let name, let limit, let old):
      "the new \(name) did not serve within \(limit) and was ended; the old one (pid \(old)) goes on"
    }
  }
}
