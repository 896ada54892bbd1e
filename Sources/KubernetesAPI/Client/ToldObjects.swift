import JSON
import Synchronization

/// Which objects a reflector has told of, and in which version.
final class ToldObjects: Sendable {
  /// nil until the first list.
  private let versions = Mutex<[ObjectKey: String]?>(nil)

  func insert(_ object: JSONValue, kind: String) {
    guard let key = ObjectKey(of: object, kind: kind) else { return }
    versions.withLock { $0?[key] = ToldObjects.version(object) }
  }

  func remove(_ key: ObjectKey) { versions.withLock { $0?[key] = nil } }

  /// Takes over a new list. Returns the items that are new or have changed, and the keys of what is no longer there; nil
  /// for those when nothing was told before.
  func update(to items: [JSONValue], kind: String) -> (changed: [JSONValue], gone: [ObjectKey]?) {
    versions.withLock { versions in
      let before = versions
      var now: [ObjectKey: String] = [:]
      now.reserveCapacity(items.count)
      var changed: [JSONValue] = []
      for item in items {
        guard let key = ObjectKey(of: item, kind: kind) else { continue }
        let version = ToldObjects.version(item)
        now[key] = version
        // Without a version nobody can tell; telling it again does no harm.
        if version.isEmpty || before?[key] != version { changed.append(item) }
      }
      versions = now
      return (changed, before.map { $0.keys.filter { now[$0] == nil }.sorted() })
    }
  }

  private static func version(_ object: JSONValue) -> String {
    object[path: "metadata", "resourceVersion"]?.stringValue ?? ""
  }
}
