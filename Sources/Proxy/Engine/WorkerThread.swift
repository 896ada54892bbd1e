#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A worker's own thread: event loops block, and the pool of Swift's tasks must not be.
enum WorkerThread {
  private final class Start: Sendable {
    let shared: ProxyShared
    let mailbox: WorkerMailbox
    let continuation: CheckedContinuation<Void, any Error>

    init(shared: ProxyShared, mailbox: WorkerMailbox, continuation: CheckedContinuation<Void, any Error>) {
      self.shared = shared
      self.mailbox = mailbox
      self.continuation = continuation
    }

    func run() {
      do {
        try Worker(shared: shared, mailbox: mailbox).run()
        continuation.resume()
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }

  /// Returns when the worker has stopped.
  static func run(shared: ProxyShared, mailbox: WorkerMailbox) async throws {
    try await withCheckedThrowingContinuation { continuation in
      let start = Unmanaged.passRetained(Start(shared: shared, mailbox: mailbox, continuation: continuation))
      var thread = pthread_t()
      let result = pthread_create(
        &thread, nil,
        { argument in
          if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().run() }
          return nil
        }, start.toOpaque())
      if result == 0 {
        pthread_detach(thread)
      } else {
        start.release()
        continuation.resume(throwing: SocketError("pthread_create", errno: result))
      }
    }
  }
}
