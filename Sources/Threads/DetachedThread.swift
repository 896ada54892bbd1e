#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A thread of its own for what blocks, so that the pool of the concurrency runtime, which has a thread for each core, never
/// does.
public enum DetachedThread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs `body` on a new detached thread; on the calling one when the system gives no more threads.
  public static func start(stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) {
    if tryStart(stackSize: stackSize, body) != 0 { body() }
  }

  /// Runs `body` on a new detached thread.
  /// - Parameter stackSize: In bytes; nil for the system's usual size, which costs nothing until it is touched.
  /// - Returns: 0, or the errno of a thread that could not be made; then `body` does not run.
  @discardableResult
  public static func tryStart(stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) -> Int32 {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
    let box = Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, box.toOpaque())
    if result != 0 { box.release() }
    return result
  }

  /// Runs `body`, which may block, on a thread of its own and waits for its value without blocking.
  public static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      start { continuation.resume(returning: body()) }
    }
  }
}
