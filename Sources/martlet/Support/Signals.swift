import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The writing end of the pipe through which the handler of SIGTERM and SIGINT speaks; a handler may do no more.
///
/// Blocking the signals and waiting for them is not enough: the runtime parks the main thread with none blocked.
private let stopPipe = Atomic<Int32>(-1)

/// Runs `body` until it ends, or cancels it on SIGTERM and SIGINT. A second signal ends the process at once.
func runUntilSignalled(_ body: @escaping @Sendable () async throws -> Void) async throws {
  var ends: [Int32] = [-1, -1]
  guard pipe(&ends) == 0 else { return try await body() }
  stopPipe.store(ends[1], ordering: .releasing)
  for number in [SIGTERM, SIGINT] {
    signal(number) { number in
      var byte = UInt8(truncatingIfNeeded: number)
      _ = write(stopPipe.load(ordering: .acquiring), &byte, 1)
    }
  }
  signal(SIGPIPE, SIG_IGN)
  let task = Task { try await body() }
  let reader = ends[0]
  DetachedThread.start {
    var byte: UInt8 = 0
    func next() { while read(reader, &byte, 1) < 0, errno == EINTR {} }
    next()
    task.cancel()
    next()
    _exit(128 + Int32(byte))
  }
  do { try await task.value } catch is CancellationError {}
}
