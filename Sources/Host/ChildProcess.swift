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
  }

  let name: String
  private let arguments: [String]
  private let pidFile: String
  private let logger: Logger
  private let state = Mutex(State())

  /// `arguments` follow the path of this executable.
  init(name: String, arguments: [String], pidFile: String, logger: Logger) {
    self.name = name
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
      try? await Task.sleep(for: .milliseconds(pause))
      pause = min(max(pause * 2, 100), 5000)
    }
  }

  /// Asks the process to end; `run` returns when it has.
  func stop() {
    state.withLock { state in
      state.stopping = true
      if state.pid != 0 { kill(state.pid, SIGTERM) }
    }
  }

  /// One life of the process, from start to end, on one thread: the child is killed with the thread that started it, so
  /// that none is left when this process is killed.
  private func live() -> Result<String, SpawnError> {
    Result { () throws(SpawnError) in
      let pid = try spawn()
      if state.withLock({ $0.stopping }) { kill(pid, SIGTERM) }
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      state.withLock { $0.pid = 0 }
      unlink(pidFile)
      let signal = status & 0x7f
      return "pid \(pid), " + (signal == 0 ? "exit code \(status >> 8 & 0xff)" : "signal \(signal)")
    }
  }

  private func spawn() throws(SpawnError) -> pid_t {
    let path = "/proc/self/exe"
    var arguments = ([CommandLine.arguments.first ?? "martlet"] + self.arguments).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    var step: Int32 = 0
    let resolved = realpath(path, nil)
    defer { free(resolved) }
    let result = clinux_spawn(
      resolved ?? arguments[0], &arguments, environ, nil, 1, 2, -1, -1,
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
