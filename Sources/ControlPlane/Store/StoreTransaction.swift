import JSON

/// A write in progress: reads see its own changes.
struct StoreTransaction {
  private let state: StoreState
  private var pending: [ObjectKey: StoredObject?] = [:]
  private(set) var changes: [StoreChange] = []
  private(set) var resourceVersion: UInt64

  init(state: StoreState) {
    self.state = state
    resourceVersion = state.resourceVersion
  }

  func object(_ key: ObjectKey) -> StoredObject? {
    if let pending = pending[key] { return pending }
    return state.collections[key.resource]?.objects[key]
  }

  /// Every object in a namespace.
  func keys(inNamespace namespace: String) -> [ObjectKey] {
    var keys = Set<ObjectKey>()
    for collection in state.collections.values {
      for key in collection.objects.keys where key.namespace == namespace { keys.insert(key) }
    }
    for key in pending.keys where key.namespace == namespace { keys.insert(key) }
    return keys.filter { object($0) != nil }.sorted()
  }

  func keys(ofResource resource: String) -> [ObjectKey] {
    var keys = Set(state.collections[resource]?.objects.keys ?? [:].keys)
    for key in pending.keys where key.resource == resource { keys.insert(key) }
    return keys.filter { object($0) != nil }.sorted()
  }

  /// What names the object with this uid as an owner.
  func dependents(of uid: String) -> [ObjectKey] {
    var keys = state.owned[uid] ?? []
    for (key, object) in pending where object?.owners.contains(uid) ?? false { keys.insert(key) }
    return keys.filter { object($0)?.owners.contains(uid) ?? false }.sorted()
  }

  /// Which object has what only one can have.
  func holder(of claim: Claim) -> ObjectKey? {
    for (key, object) in pending where object?.claims.contains(claim) ?? false { return key }
    guard let key = state.holders[claim], pending[key] == nil else { return nil }
    return key
  }

  /// Stores a new or changed object under the next version, which is also written into it.
  @discardableResult
  mutating func put(_ key: ObjectKey, _ value: JSONValue, selectable: [[String]]) -> StoredObject {
    resourceVersion += 1
    var value = value
    value.set(["metadata", "resourceVersion"], to: .string(String(resourceVersion)))
    let previous = object(key)
    let stored = StoredObject(key: key, resourceVersion: resourceVersion, value: value, selectable: selectable)
    pending[key] = .some(stored)
    changes.append(StoreChange(kind: previous == nil ? .added : .modified, object: stored, previous: previous))
    return stored
  }

  /// Removes an object; watchers get its last state under the version of the removal.
  mutating func delete(_ key: ObjectKey, lastState: JSONValue, selectable: [[String]]) {
    guard let previous = object(key) else { return }
    resourceVersion += 1
    var value = lastState
    value.set(["metadata", "resourceVersion"], to: .string(String(resourceVersion)))
    let last = StoredObject(key: key, resourceVersion: resourceVersion, value: value, selectable: selectable)
    pending[key] = .some(nil)
    changes.append(StoreChange(kind: .deleted, object: last, previous: previous))
  }
}
