#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A thread of its own for what blocks: the pool that runs Swift's tasks must not.
enum BlockingThread {
  private final class Start: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
      self.body = body
    }
  }

  /// - Returns: 0, or the errno of a thread that could not be made.
  @discardableResult
  static func start(_ body: @escaping @Sendable () -> Void) -> Int32 {
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, start.toOpaque())
    if result == 0 {
      pthread_detach(thread)
    } else {
      start.release()
    }
    return result
  }
}
