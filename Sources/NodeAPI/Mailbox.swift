import Synchronization

/// Carries what tasks produce to a thread that waits in poll(2). Bounded: a task that is ahead of the thread suspends.
final class Mailbox: Sendable {
  enum Item: Sendable {
    case bytes([UInt8])
    /// Nothing follows.
    case end
  }

  private struct State {
    var items: [Item] = []
    var waiting: [CheckedContinuation<Void, any Error>] = []
    var isClosed = false
  }

  private let state = Mutex(State())
  private let capacity: Int
  /// Its receiver is readable while there are items.
  let signal: WakeUp

  init(capacity: Int = 64) throws(SystemCall.Failure) {
    self.capacity = capacity
    signal = try WakeUp()
  }

  /// From a task. Throws `ClientGone` after `close`.
  func put(_ item: Item) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let result: Result<Void, ClientGone>? = state.withLock { state in
        if state.isClosed { return .failure(ClientGone()) }
        state.items.append(item)
        if state.items.count < capacity { return .success(()) }
        state.waiting.append(continuation)
        return nil
      }
      signal.send()
      switch result {
      case .success?: continuation.resume()
      case .failure(let error)?: continuation.resume(throwing: error)
      case nil: break
      }
    }
  }

  /// From the thread: everything that is there.
  func take() -> [Item] {
    signal.drain()
    let (items, waiting) = state.withLock { state in
      defer {
        state.items = []
        state.waiting = []
      }
      return (state.items, state.waiting)
    }
    for continuation in waiting { continuation.resume() }
    return items
  }

  /// From the thread: nobody takes any more.
  func close() {
    let waiting = state.withLock { state in
      defer { state.waiting = [] }
      state.isClosed = true
      return state.waiting
    }
    for continuation in waiting { continuation.resume(throwing: ClientGone()) }
  }
}
