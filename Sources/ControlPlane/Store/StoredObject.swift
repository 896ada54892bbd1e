import JSON
import Labels

/// Where an object lives.
struct ObjectKey: Hashable, Sendable, Comparable {
  /// `plural.group`, or the plural alone for the core group; all versions of a kind share it.
  let resource: String
  /// Empty for objects of the cluster.
  let namespace: String
  let name: String

  static func < (left: ObjectKey, right: ObjectKey) -> Bool {
    (left.namespace, left.name) < (right.namespace, right.name)
  }
}

/// One version of an object. The text is what clients get; only what selectors and collectors ask for is kept decoded,
/// so that thousands of objects stay cheap.
final class StoredObject: Sendable {
  let key: ObjectKey
  let uid: String
  let resourceVersion: UInt64
  /// It waits for its finalizers, or for what it contains.
  let isBeingDeleted: Bool
  let labels: LabelSet
  /// The values that field selectors may name, such as `spec.nodeName`.
  let fields: [String: String]
  /// The uids of the owners.
  let owners: [String]
  /// What no other object may have while this one is stored.
  let claims: [Claim]
  let body: [UInt8]

  /// - Parameter body: the text of `value` when it is at hand; otherwise it is written.
  init(
    key: ObjectKey, resourceVersion: UInt64, value: JSONValue, selectable: [[String]], body: [UInt8]? = nil
  ) {
    self.key = key
    self.resourceVersion = resourceVersion
    let metadata = value["metadata"]
    uid = metadata?["uid"]?.stringValue ?? ""
    isBeingDeleted = metadata?["deletionTimestamp"] != nil
    labels = metadata?["labels"]?.objectValue?.compactMapValues(\.stringValue) ?? [:]
    owners = metadata?["ownerReferences"]?.arrayValue?.compactMap { $0["uid"]?.stringValue } ?? []
    claims = Claim.claims(of: value, key)
    var fields: [String: String] = [:]
    for path in selectable {
      fields[path.joined(separator: ".")] = value.scalarText(at: path) ?? ""
    }
    self.fields = fields
    self.body = body ?? value.serialized()
  }

  /// Decodes the object; the text was written by this program, so a failure means a damaged database.
  func value() throws(JSONError) -> JSONValue { try JSONValue(parsing: body) }
}

extension Collection {
  /// The collection, or nil when it is empty.
  var nonEmpty: Self? { isEmpty ? nil : self }
}

extension JSONValue {
  func value(at path: [String]) -> JSONValue? {
    var value = self
    for key in path {
      guard let next = value[key] else { return nil }
      value = next
    }
    return value
  }

  func scalarText(at path: [String]) -> String? {
    switch value(at: path) {
    case .string(let text): text
    case .integer(let number): String(number)
    case .bool(let flag): flag ? "true" : "false"
    default: nil
    }
  }

  /// Writes at a path of object keys and makes the objects on the way; nil removes.
  mutating func set(_ path: [String], to value: JSONValue?) {
    guard let first = path.first else { return }
    guard path.count > 1 else {
      self[first] = value
      return
    }
    var child = self[first] ?? .object([:])
    self[first] = .null
    child.set(Array(path.dropFirst()), to: value)
    self[first] = child
  }
}
