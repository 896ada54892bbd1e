#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// pthread_create(3) for a closure: the argument that it passes on knows no generics and no counts of references.
enum PosixThread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// - Returns: 0, or the errno of a thread that could not be made; then `body` does not run.
  static func start(
    _ thread: inout pthread_t, isDetached: Bool, stackSize: Int?, _ body: @escaping @Sendable () -> Void
  ) -> Int32 {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    if isDetached { pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED)) }
    if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
    let box = Unmanaged.passRetained(Body(body))
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, box.toOpaque())
    if result != 0 { box.release() }
    return result
  }
}
