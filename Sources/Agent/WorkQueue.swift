import KubernetesAPI
import Synchronization

/// Keys whose work is to be done: one key's at a time, several keys' at once, and what fails again after a growing pause
/// until it succeeds. A key that waits already is not added twice; one that is being worked on is worked on once more, so
/// the last run of a key always begins after the last `add` of it.
final class WorkQueue<Key: Hashable & Sendable>: Sendable {
  private struct State {
    var waiting: [Key] = []
    /// Keys that wait, or wait for their present run to end.
    var wanted: Set<Key> = []
    var running: Set<Key> = []
    /// Of the keys whose last run failed.
    var backoffs: [Key: Backoff] = [:]
    var isStopped = false
  }

  private let state = Mutex(State())
  private let width: Int
  private let backoff: Backoff
  private let work: @Sendable (Key) async throws -> Void
  private let failed: @Sendable (Key, any Error, Duration) -> Void

  /// - Parameters:
  ///   - width: How many keys are worked on at once.
  ///   - failed: Told of each failure and of the pause before the next attempt.
  init(
    width: Int = 1, backoff: Backoff = Backoff(base: .milliseconds(200), maximum: .seconds(30)),
    failed: @escaping @Sendable (Key, any Error, Duration) -> Void,
    work: @escaping @Sendable (Key) async throws -> Void
  ) {
    self.width = width
    self.backoff = backoff
    self.failed = failed
    self.work = work
  }

  /// Asks for a run of the key's work, at once even when an earlier failure makes it wait.
  func add(_ key: Key) {
    let starts = state.withLock { state in
      guard !state.isStopped, state.wanted.insert(key).inserted else { return false }
      state.waiting.append(key)
      return state.running.count < width
    }
    if starts { Task { await drain() } }
  }

  /// No run begins any more.
  func stop() {
    state.withLock { state in
      state.isStopped = true
      state.waiting = []
    }
  }

  /// Nothing waits, runs or is to be tried again.
  var isIdle: Bool {
    state.withLock { $0.wanted.isEmpty && $0.running.isEmpty && $0.backoffs.isEmpty }
  }

  private func drain() async {
    while let key = next() {
      do {
        try await work(key)
        finish(key)
      } catch {
        let pause = finish(key, failed: true)
        failed(key, error, pause)
        Task { [weak self] in
          try? await Task.sleep(for: pause)
          self?.retry(key)
        }
      }
    }
  }

  private func next() -> Key? {
    state.withLock { state in
      guard state.running.count < width,
        let index = state.waiting.firstIndex(where: { !state.running.contains($0) })
      else { return nil }
      let key = state.waiting.remove(at: index)
      state.wanted.remove(key)
      state.running.insert(key)
      return key
    }
  }

  @discardableResult
  private func finish(_ key: Key, failed: Bool = false) -> Duration {
    state.withLock { state in
      state.running.remove(key)
      guard failed else {
        state.backoffs[key] = nil
        return .zero
      }
      return state.backoffs[key, default: backoff].next()
    }
  }

  private func retry(_ key: Key) {
    // What has succeeded since, by an `add` of its own, needs no other run.
    if state.withLock({ $0.backoffs[key] != nil }) { add(key) }
  }
}
