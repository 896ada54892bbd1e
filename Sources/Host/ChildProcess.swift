import CLinux
import Logging
import Synchronization
import Threads

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
    var pid: pid_t = 0
    var stopping = false
    /// The pause before the next life.
    var pause: Task<Void, Never>?
  }

  let name: String
  private let program: String
  private let arguments: [String]
  private let pidFile: String
  private let logger: Logger
  private let state = Mutex(State())

  /// `program` is this executable unless another one is given.
  init(
    name: String, program: String = Executable.path, arguments: [String], pidFile: String, logger: Logger
  ) {
    self.name = name
    self.program = program
    self.arguments = arguments
    self.pidFile = pidFile
    self.logger = logger
  }

  /// The running process, 0 between two lives.
  var pid: pid_t { state.withLock { $0.pid } }

  /// Starts the process and keeps it running; returns after `stop`.
  func run() async {
    var pause: UInt64 = 0
    while !state.withLock({ $0.stopping }) {
      let started = ContinuousClock.now
      let outcome = await DetachedThread.run { self.live() }
      if state.withLock({ $0.stopping }) { break }
      switch outcome {
      case .success(let end): logger.warning("\(name) ended, \(end); starting it again")
      case .failure(let error): logger.error("\(error)")
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
  }

  /// Asks the process to end, and kills it when it has not after `grace`; `run` returns when it has.
  func stop(grace: Duration = .seconds(10)) {
    state.withLock { state in
      state.stopping = true
      state.pause?.cancel()
      if state.pid != 0 { kill(state.pid, SIGTERM) }
    }
    Task {
      try? await Task.sleep(for: grace)
      state.withLock { state in
        guard state.pid != 0 else { return }
        logger.warning("\(name) (pid \(state.pid)) does not end by itself; killing it")
        kill(state.pid, SIGKILL)
      }
    }
  }

  /// One life of the process, from start to end, on one thread: the child is killed with the thread that started it, so
  /// that none is left when this process is killed.
  private func live() -> Result<String, SpawnError> {
    Result { () throws(SpawnError) in
      let pid = try spawn()
      state.withLock { if $0.stopping { kill(pid, SIGTERM) } }
      // Waited for, but not reaped: until then nobody else can have its number, so a signal can not meet a stranger.
      var end = siginfo_t()
      while waitid(P_PID, id_t(pid), &end, WEXITED | WNOWAIT) < 0, errno == EINTR {}
      var status: Int32 = 0
      state.withLock { state in
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        state.pid = 0
      }
      unlink(pidFile)
      let signal = status & 0x7f
      return "pid \(pid), " + (signal == 0 ? "exit code \(status >> 8 & 0xff)" : "signal \(signal)")
    }
  }

  private func spawn() throws(SpawnError) -> pid_t {
    var arguments = ([program] + self.arguments).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    var step: Int32 = 0
    let result = clinux_spawn(
      program, &arguments, environ, nil, 1, 2, -1, -1,
      UInt32(CLINUX_SPAWN_PARENT_DEATH_KILL.rawValue), &pid, &step)
    guard result == 0 else { throw SpawnError(name: name, number: -result) }
    state.withLock { $0.pid = pid }
    writePIDFile(pid)
    return pid
  }

  private func writePIDFile(_ pid: pid_t) {
    guard let file = fopen(pidFile, "w") else { return }
    fputs("\(pid)\n", file)
    fclose(file)
  }
}

struct SpawnError: Error, CustomStringConvertible {
  let name: String
  let number: Int32

  var description: String { "can not start \(name): \(String(cString: strerror(number)))" }
}
