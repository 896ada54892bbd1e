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
      do {
        let pid = try spawn()
        if state.withLock({ $0.stopping }) { kill(pid, SIGTERM) }
        let status = await wait(for: pid)
        state.withLock { $0.pid = 0 }
        unlink(pidFile)
        if state.withLock({ $0.stopping }) { break }
        logger.warning("\(name) (pid \(pid)) ended, \(status); starting it again")
      } catch {
        logger.error("\(error)")
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

  private func spawn() throws(SpawnError) -> pid_t {
    let path = "/proc/self/exe"
    var arguments = ([CommandLine.arguments.first ?? "martlet"] + self.arguments).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    var step: Int32 = 0
    let resolved = realpath(path, nil)
    defer { free(resolved) }
    let result = clinux_spawn(resolved ?? arguments[0], &arguments, environ, nil, 1, 2, -1, -1, 0, &pid, &step)
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

  /// Waits on a thread of its own: waitpid blocks, and the cooperative pool must not.
  private func wait(for pid: pid_t) async -> String {
    await DetachedThread.run {
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      let signal = status & 0x7f
      return signal == 0 ? "exit code \(status >> 8 & 0xff)" : "signal \(signal)"
    }
  }
}

struct SpawnError: Error, CustomStringConvertible {
  let name: String
  let number: Int32

  var description: String { "can not start \(name): \(String(cString: strerror(number)))" }
}
