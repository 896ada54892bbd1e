import Synchronization
import Threads

/// The threads of one engine: started one by one, waited for together.
final class EngineThreads: Sendable {
  private struct State {
    var running = 0
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Runs `body` on a thread of its own.
  func start(_ body: @escaping @Sendable () -> Void) throws(SocketError) {
    state.withLock { $0.running += 1 }
    let result = DetachedThread.tryStart {
      SchedulingSlice.shorten()
      body()
      self.ended()
    }
    if result != 0 {
      ended()
      throw SocketError("pthread_create", errno: result)
    }
  }

  /// Returns when no thread runs.
  func wait() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if state.running > 0 { state.waiters.append(continuation) }
        return state.running == 0
      }
      if isOver { continuation.resume() }
    }
  }

  private func ended() {
    let waiters = state.withLock { state in
      state.running -= 1
      guard state.running == 0 else { return [] as [CheckedContinuation<Void, Never>] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
