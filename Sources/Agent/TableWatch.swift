import Datapath
import Synchronization

/// What is known of the kernel's tables between two looks at them.
final class TableWatch: Sendable {
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
    var collections = Collections()
  }

  private let state = Mutex(State())

  /// By the maps' names; empty until they were counted once.
  var usage: [MapUsage] { state.withLock { $0.usage.values.sorted { $0.map < $1.map } } }
  var collections: Collections { state.withLock(\.collections) }

  /// Whether the table was nearly full before.
  func set(_ usage: MapUsage) -> Bool {
    state.withLock { $0.usage.updateValue(usage, forKey: usage.map)?.isNearlyFull ?? false }
  }

  func collected(_ collection: ConnectionCollection, took: Duration) {
    state.withLock { state in
      state.collections.runs += 1
      state.collections.expired += UInt64(collection.expired)
      state.collections.evicted += UInt64(collection.evicted)
      state.collections.duration += took
      state.collections.live = collection.live
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
