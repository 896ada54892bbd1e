import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Runs `body` until it ends, or cancels it on SIGTERM and SIGINT. To be called before other threads start, which inherit
/// the blocked signals.
func runUntilSignalled(_ body: @escaping @Sendable () async throws -> Void) async throws {
  var signals = sigset_t()
  sigemptyset(&signals)
  sigaddset(&signals, SIGTERM)
  sigaddset(&signals, SIGINT)
  pthread_sigmask(SIG_BLOCK, &signals, nil)
  signal(SIGPIPE, SIG_IGN)
  let task = Task { try await body() }
  let wanted = signals
  DetachedThread.start {
    var signals = wanted
    var number: Int32 = 0
    sigwait(&signals, &number)
    task.cancel()
    // A second one does not wait for a clean end.
    sigwait(&signals, &number)
    _exit(128 + number)
  }
  do { try await task.value } catch is CancellationError {}
}
