import JSON
import Synchronization

/// Which objects a reflector has told of, and in which version.
final class ToldObjects: Sendable {
  struct Version: Equatable, Sendable {
    fileprivate let uid: String
    fileprivate let version: String

    init(of object: JSONValue) {
      uid = object[path: "metadata", "uid"]?.stringValue ?? ""
      version = object[path: "metadata", "resourceVersion"]?.stringValue ?? ""
    }
  }

  /// nil until the first list.
  private let told = Mutex<[ObjectKey: Version]?>(nil)

  func insert(_ object: JSONValue, kind: String) {
    guard let key = ObjectKey(of: object, kind: kind) else { return }
    told.withLock { $0?[key] = Version(of: object) }
  }

  func remove(_ key: ObjectKey) { told.withLock { $0?[key] = nil } }

  /// Whether an object of a list is new or has changed. Without a version nobody can tell; telling it again does no harm.
  func lacks(_ key: ObjectKey, _ version: Version) -> Bool {
    version.version.isEmpty || told.withLock { $0?[key] } != version
  }

  /// Takes over a new list. Returns the keys of the objects that are no longer there, those among them whose name another
  /// object has now; nil when nothing was told before.
  func replace(by now: [ObjectKey: Version]) -> [ObjectKey]? {
    let before = told.withLock { told in
      defer { told = now }
      return told
    }
    return before.map { $0.filter { now[$0.key]?.uid != $0.value.uid }.keys.sorted() }
  }
}
