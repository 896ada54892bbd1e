import JSON

extension JSONValue {
  /// Applies a JSON merge patch (RFC 7386).
  func applying(mergePatch patch: JSONValue) -> JSONValue {
    guard case .object(let changes) = patch else { return patch }
    var members = objectValue ?? [:]
    for (key, change) in changes {
      if change.isNull {
        members[key] = nil
      } else {
        members[key] = (members[key] ?? .null).applying(mergePatch: change)
      }
    }
    return .object(members)
  }
}
