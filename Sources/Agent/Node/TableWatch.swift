import Datapath
import KernelABI
import Synchronization

/// What is known of the kernel's tables between two looks at them.
final class TableWatch: Sendable {
  /// What the collections of one table have done so far.
  struct Collections: Sendable {
    var runs: UInt64 = 0
    var expired: UInt64 = 0
    var evicted: UInt64 = 0
    var duration = Duration.zero
    var live = 0
  }

  private struct State {
    var usage: [String: MapUsage] = [:]
    var reportedAt: [String: ContinuousClock.Instant] = [:]
    var collections: [MapName: Collections] = [:]
  }

  private let state = Mutex(State())

  /// By the maps' names; empty until they were counted once.
  var usage: [MapUsage] { state.withLock { $0.usage.values.sorted { $0.map < $1.map } } }

  func collections(of map: MapName) -> Collections { state.withLock { $0.collections[map] ?? Collections() } }

  /// Whether the table was nearly full before.
  func set(_ usage: MapUsage) -> Bool {
    state.withLock { $0.usage.updateValue(usage, forKey: usage.map)?.isNearlyFull ?? false }
  }

  func collected(_ map: MapName, live: Int, expired: Int, evicted: Int, took: Duration) {
    state.withLock { state in
      var collections = state.collections[map] ?? Collections()
      collections.runs += 1
      collections.expired += UInt64(expired)
      collections.evicted += UInt64(evicted)
      collections.duration += took
      collections.live = live
      state.collections[map] = collections
    }
  }

  /// Once a minute for each table: a flood must not fill the log too.
  func isToReport(_ map: String) -> Bool {
    state.withLock { state in
      if let before = state.reportedAt[map], ContinuousClock.now - before < .seconds(60) { return false }
      state.reportedAt[map] = .now
      return true
    }
  }
}
