import GRDB
import JSON
import Synchronization

/// All objects: in memory for reads, in SQLite (WAL) for the next start. One lock makes every write, with all that
/// follows from it, one step; watchers see the steps in their order.
final class Store: Sendable {
  let state: Mutex<StoreState>

  /// Opens or makes the database.
  ///
  /// - Parameters:
  ///   - path: the file; nil keeps everything in memory only.
  ///   - historyLimit: how many events are kept for watches that resume; older versions are answered with 410.
  ///   - historyBytes: of how many octets in all.
  ///   - selectable: the paths that field selectors may name, by resource.
  init(
    path: String?, historyLimit: Int = 10_000, historyBytes: Int = 32 << 20,
    selectable: @escaping @Sendable (String) -> [[String]]
  ) throws {
    let database = try StoreDatabase(path: path)
    var state = StoreState(database: database, historyLimit: historyLimit, historyBytes: historyBytes)
    try database.load { key, resourceVersion, body in
      state.insert(
        StoredObject(
          key: key, resourceVersion: resourceVersion, value: try JSONValue(parsing: body),
          selectable: selectable(key.resource), body: body))
    }
    state.resourceVersion = try database.loadResourceVersion()
    state.oldestVersion = state.resourceVersion
    self.state = Mutex(state)
  }

  /// The version of the latest write.
  var resourceVersion: UInt64 { state.withLock { $0.resourceVersion } }

  func object(_ key: ObjectKey) -> StoredObject? { state.withLock { $0.collections[key.resource]?.objects[key] } }

  /// Runs `body` with nobody else reading or writing. Its changes become durable and visible together, or, when it
  /// throws, not at all.
  func write<Result: Sendable>(
    _ body: (inout StoreTransaction) throws -> sending Result
  ) throws -> Result {
    try state.withLock { state throws in
      var result: Result
      var changes: [StoreChange] = []
      var resourceVersion: UInt64 = 0
      do {
        // The transaction shares the state's storage: it must be gone before the state changes, or all would be copied.
        var transaction = StoreTransaction(state: state)
        result = try body(&transaction)
        changes = transaction.changes
        resourceVersion = transaction.resourceVersion
      }
      guard !changes.isEmpty else { return result }
      try state.database.commit(changes, resourceVersion: resourceVersion)
      state.resourceVersion = resourceVersion
      for change in changes { state.apply(change) }
      return result
    }
  }

  /// Forgets the events at and before `version`; tests use it to provoke 410.
  func compact(through version: UInt64) { state.withLock { $0.compact(through: version) } }
}

/// One step of a write.
struct StoreChange: Sendable {
  enum Kind: Sendable { case added, modified, deleted }
  let kind: Kind
  let object: StoredObject
  let previous: StoredObject?
}

struct StoreState {
  struct Collection {
    var objects: [ObjectKey: StoredObject] = [:]
    /// The keys in order; nil after an insertion or a removal, until the next list.
    var sortedKeys: [ObjectKey]?
  }

  let database: StoreDatabase
  let historyLimit: Int
  let historyBytes: Int
  var collections: [String: Collection] = [:]
  /// uid of an owner -> keys of what it owns.
  var owned: [String: Set<ObjectKey>] = [:]
  /// Who has what only one can have.
  var holders: [Claim: ObjectKey] = [:]
  var resourceVersion: UInt64 = 0
  /// Watches may resume at this version or later.
  var oldestVersion: UInt64 = 0
  private(set) var history: [StoreChange] = []
  /// Octets of the objects in `history`.
  private var kept = 0
  var watchers: [UInt64: Watcher] = [:]
  var nextWatcher: UInt64 = 0

  init(database: StoreDatabase, historyLimit: Int, historyBytes: Int) {
    self.database = database
    self.historyLimit = historyLimit
    self.historyBytes = historyBytes
  }

  mutating func insert(_ object: StoredObject) {
    let isNew =
      collections[object.key.resource, default: Collection()].objects.updateValue(object, forKey: object.key) == nil
    if isNew { collections[object.key.resource]?.sortedKeys = nil }
    for owner in object.owners { owned[owner, default: []].insert(object.key) }
    for claim in object.claims { holders[claim] = object.key }
  }

  mutating func apply(_ change: StoreChange) {
    if let previous = change.previous {
      for owner in previous.owners {
        owned[owner]?.remove(previous.key)
        if owned[owner]?.isEmpty == true { owned[owner] = nil }
      }
      for claim in previous.claims where holders[claim] == previous.key { holders[claim] = nil }
    }
    if change.kind == .deleted {
      collections[change.object.key.resource]?.objects[change.object.key] = nil
      collections[change.object.key.resource]?.sortedKeys = nil
    } else {
      insert(change.object)
    }
    history.append(change)
    kept += change.object.body.count
    if history.count > historyLimit + historyLimit / 4 || kept > historyBytes + historyBytes / 4 { shorten() }
    publish(change)
  }

  /// Forgets the oldest events.
  private mutating func shorten() {
    var excess = 0
    while history.count - excess > historyLimit || kept > historyBytes, excess < history.count {
      oldestVersion = history[excess].object.resourceVersion
      kept -= history[excess].object.body.count
      excess += 1
    }
    history.removeFirst(excess)
  }

  mutating func compact(through version: UInt64) {
    history.removeAll { $0.object.resourceVersion <= version }
    kept = history.reduce(0) { $0 + $1.object.body.count }
    oldestVersion = max(oldestVersion, version)
  }

  mutating func sortedKeys(_ resource: String) -> [ObjectKey] {
    guard let collection = collections[resource] else { return [] }
    if let keys = collection.sortedKeys { return keys }
    let keys = collection.objects.keys.sorted()
    collections[resource]?.sortedKeys = keys
    return keys
  }
}
