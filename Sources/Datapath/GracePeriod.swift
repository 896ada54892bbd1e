import BPF
import Synchronization
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The kernel makes whoever writes to a map of maps wait until no program uses the old inner map any more (a grace period of
/// RCU, some 10 ms), also where there was none, or where nobody minds.
enum GracePeriod {
  private final class Outcome: Sendable {
    let value = Mutex<Result<Void, BPFError>?>(nil)
  }

  /// Writes of which somebody waits for the rest: each has a thread, and descriptors of up to a batch of maps.
  private static let waiting = Atomic<Int>(0)
  private static let waitingLimit = 3

  /// Makes a write and returns when it has its effect; a thread of its own waits for the rest. While several wait already it
  /// waits itself, which slows down those that write faster than the kernel lets go of what they replaced.
  ///
  /// - Parameter isDone: Whether the effect is there; asked until it is, which takes microseconds.
  static func skipping(
    _ write: @escaping @Sendable () throws(BPFError) -> Void, until isDone: () throws(BPFError) -> Bool
  ) throws(BPFError) {
    guard waiting.load(ordering: .relaxed) < waitingLimit else { return try write() }
    waiting.add(1, ordering: .relaxed)
    let outcome = Outcome()
    DetachedThread.start(stackSize: 256 << 10) {
      let result = Result { () throws(BPFError) in try write() }
      outcome.value.withLock { $0 = result }
      waiting.subtract(1, ordering: .relaxed)
    }
    while true {
      if let result = outcome.value.withLock({ $0 }) { return try result.get() }
      if try isDone() { return }
      usleep(20)
    }
  }
}
