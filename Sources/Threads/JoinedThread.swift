import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A thread that its starter waits for: for what changes the thread that does it, such as the namespace it is in.
public enum JoinedThread {
  /// The thread could not be made, with pthread_create's errno.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public let errno: Int32

    public var description: String { "no thread: \(String(cString: strerror(errno)))" }
  }

  private final class Outcome<Success: Sendable, Failure: Error>: Sendable {
    let result = Mutex<Result<Success, Failure>?>(nil)
  }

  /// Runs `body` on a new thread and blocks the calling one until it has ended.
  public static func run<Success: Sendable, Thrown: Error>(
    _ body: @escaping @Sendable () throws(Thrown) -> Success
  ) throws(Failure) -> Result<Success, Thrown> {
    let outcome = Outcome<Success, Thrown>()
    var thread = pthread_t()
    let error = PosixThread.start(&thread, isDetached: false, stackSize: nil) {
      let result: Result<Success, Thrown>
      do throws(Thrown) { result = .success(try body()) } catch { result = .failure(error) }
      outcome.result.withLock { $0 = result }
    }
    guard error == 0 else { throw Failure(errno: error) }
    pthread_join(thread, nil)
    guard let result = outcome.result.withLock({ $0 }) else { throw Failure(errno: ESRCH) }
    return result
  }
}
