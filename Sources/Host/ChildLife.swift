import CLinux
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One process of Martlet's own, from start to end.
final class ChildLife: Sendable {
  private struct State {
    /// How it ended.
    var end: String?
    var waiters: [CheckedContinuation<String, Never>] = []
  }

  let pid: pid_t
  private let state = Mutex(State())

  private init(pid: pid_t) { self.pid = pid }

  /// Starts the process. A thread of its own waits for its end: the child is killed with the thread that started it, so that
  /// none is left when this process is killed.
  static func start(_ name: String, _ program: String, _ arguments: [String]) async throws(SpawnError) -> ChildLife {
    let result: Result<ChildLife, SpawnError> = await withCheckedContinuation { continuation in
      DetachedThread.start {
        do throws(SpawnError) {
          let life = ChildLife(pid: try spawn(name, program, arguments))
          continuation.resume(returning: .success(life))
          life.wait()
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  /// How it ended: its exit code or the signal; nil while it lives.
  var ended: String? { state.withLock { $0.end } }

  /// As `ended`, when it has.
  var end: String {
    get async {
      await withCheckedContinuation { continuation in
        let end = state.withLock { state in
          if state.end == nil { state.waiters.append(continuation) }
          return state.end
        }
        if let end { continuation.resume(returning: end) }
      }
    }
  }

  /// Does nothing after its end.
  func signal(_ number: Int32) { state.withLock { if $0.end == nil { kill(pid, number) } } }

  private func wait() {
    // Waited for, but not reaped: until then nobody else can have its number, so a signal can not meet a stranger.
    var end = siginfo_t()
    while waitid(P_PID, id_t(pid), &end, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    let (text, waiters) = state.withLock { state in
      var status: Int32 = 0
      while waitpid(pid, &status, 0) < 0, errno == EINTR {}
      let signal = status & 0x7f
      let text = "pid \(pid), " + (signal == 0 ? "exit code \(status >> 8 & 0xff)" : "signal \(signal)")
      state.end = text
      defer { state.waiters = [] }
      return (text, state.waiters)
    }
    for waiter in waiters { waiter.resume(returning: text) }
  }

  private static func spawn(_ name: String, _ program: String, _ arguments: [String]) throws(SpawnError) -> pid_t {
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    var step: Int32 = 0
    let result = clinux_spawn(
      program, &words, environ, nil, 1, 2, -1, -1, UInt32(CLINUX_SPAWN_PARENT_DEATH_KILL.rawValue), &pid, &step)
    guard result == 0 else { throw SpawnError(name: name, number: -result) }
    return pid
  }
}

struct SpawnError: Error, CustomStringConvertible {
  let name: String
  let number: Int32

  var description: String { "can not start \(name): \(String(cString: strerror(number)))" }
}
