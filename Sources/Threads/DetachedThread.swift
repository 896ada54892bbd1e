#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A thread of its own for what blocks, so that the pool of the concurrency runtime, which has a thread for each core, never
/// does.
public enum DetachedThread {
  /// Runs `body` on a new detached thread; on the calling one when the system gives no more threads.
  public static func start(stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) {
    if tryStart(stackSize: stackSize, body) != 0 { body() }
  }

  /// Runs `body` on a new detached thread.
  /// - Parameter stackSize: In bytes; nil for the system's usual size, which costs nothing until it is touched.
  /// - Returns: 0, or the errno of a thread that could not be made; then `body` does not run.
  @discardableResult
  public static func tryStart(stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) -> Int32 {
    var thread = pthread_t()
    return PosixThread.start(&thread, isDetached: true, stackSize: stackSize, body)
  }

  /// Runs `body`, which may block, on a thread of its own and waits for its value without blocking.
  public static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      start { continuation.resume(returning: body()) }
    }
  }
}
