#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A thread of its own for what blocks, so that the pool of the concurrency runtime, which has a thread for each core, never
/// does.
public enum DetachedThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on a new detached thread; on the calling one when the system gives no more threads.
  public static func start(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Body(body))
    let created = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, box.toOpaque())
    guard created == 0 else {
      box.release()
      body()
      return
    }
    pthread_detach(thread)
  }

  /// Runs `body`, which may block, on a thread of its own and waits for its value without blocking.
  public static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      start { continuation.resume(returning: body()) }
    }
  }
}
