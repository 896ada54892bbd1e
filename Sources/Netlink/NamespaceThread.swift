import Glibc
import Synchronization

extension NetworkNamespace {
  /// Runs `body` on a new thread and waits for it, so that a change of namespace ends with the thread.
  static func onThread<Success: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Success
  ) throws(NetlinkError) -> Result<Success, Failure> {
    let call = Call(body)
    var thread = pthread_t()
    // Small: what runs here makes a few system calls. Not below what Swift's runtime wants.
    let error = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<AnyCall>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, Unmanaged<AnyCall>.passRetained(call).toOpaque())
    if error != 0 {
      Unmanaged.passUnretained(call as AnyCall).release()
      throw NetlinkError(request: "pthread_create", errno: error)
    }
    pthread_join(thread, nil)
    guard let result = call.result.withLock({ $0 }) else {
      throw NetlinkError(request: "a namespace's thread", errno: ESRCH)
    }
    return result
  }
}

/// What crosses pthread_create, whose argument knows no generics.
private class AnyCall {
  func run() {}
}

private final class Call<Success: Sendable, Failure: Error>: AnyCall {
  let body: @Sendable () throws(Failure) -> Success
  let result = Mutex<Result<Success, Failure>?>(nil)

  init(_ body: @escaping @Sendable () throws(Failure) -> Success) { self.body = body }

  override func run() {
    let outcome: Result<Success, Failure>
    do throws(Failure) { outcome = .success(try body()) } catch { outcome = .failure(error) }
    result.withLock { $0 = outcome }
  }
}
