import JSON
import Synchronization

/// Which objects a reflector has told of, and in which version.
final class ToldObjects: Sendable {
  private struct Told: Equatable {
    let uid: String
    let version: String

    init(_ object: JSONValue) {
      uid = object[path: "metadata", "uid"]?.stringValue ?? ""
      version = object[path: "metadata", "resourceVersion"]?.stringValue ?? ""
    }
  }

  /// nil until the first list.
  private let told = Mutex<[ObjectKey: Told]?>(nil)

  func insert(_ object: JSONValue, kind: String) {
    guard let key = ObjectKey(of: object, kind: kind) else { return }
    told.withLock { $0?[key] = Told(object) }
  }

  func remove(_ key: ObjectKey) { told.withLock { $0?[key] = nil } }

  /// Takes over a new list. Returns the items that are new or have changed, and the keys of the objects that are no longer
  /// there, those among them whose name another object has now; nil for the keys when nothing was told before.
  func update(to items: [JSONValue], kind: String) -> (changed: [JSONValue], gone: [ObjectKey]?) {
    told.withLock { told in
      let before = told
      var now: [ObjectKey: Told] = [:]
      now.reserveCapacity(items.count)
      var changed: [JSONValue] = []
      for item in items {
        guard let key = ObjectKey(of: item, kind: kind) else { continue }
        let object = Told(item)
        now[key] = object
        // Without a version nobody can tell; telling it again does no harm.
        if object.version.isEmpty || before?[key] != object { changed.append(item) }
      }
      told = now
      return (changed, before.map { $0.filter { now[$0.key]?.uid != $0.value.uid }.keys.sorted() })
    }
  }
}
