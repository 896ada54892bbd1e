import CLinux
import Synchronization

/// Gives memory back that only the start or a change needed, once there has been none for a second: code that ran once, and
/// what the heap holds for nobody. What goes on is in the page cache when it is used again.
final class MemoryRelease: Sendable {
  private let changes = Atomic<UInt64>(1)

  /// Something has changed.
  func note() { changes.wrappingAdd(1, ordering: .relaxed) }

  /// Works until the task is cancelled.
  func run() async {
    var (seen, released): (UInt64, UInt64) = (0, 0)
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      let now = changes.load(ordering: .relaxed)
      defer { seen = now }
      guard now == seen, now != released else { continue }
      released = now
      _ = clinux_release_code()
      clinux_release_heap()
    }
  }
}
