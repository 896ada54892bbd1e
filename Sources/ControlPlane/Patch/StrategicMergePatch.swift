import JSON

/// Strategic merge patch: a merge patch in which lists of keyed elements merge element by element, with the directives
/// `$patch`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…` and `$retainKeys`.
enum StrategicMergePatch {
  static func apply(_ patch: JSONValue, to value: JSONValue?, _ schema: Schema) throws(PatchError) -> JSONValue {
    guard case .object(var changes) = patch else { return patch }
    switch changes.removeValue(forKey: "$patch")?.stringValue {
    case "replace": return .object(changes.filter { !$0.key.hasPrefix("$") })
    case "delete": return .object([:])
    case nil, "merge": break
    case .some(let directive): throw PatchError("unknown $patch directive \"\(directive)\"")
    }
    var members = value?.objectValue ?? [:]
    if let retained = changes.removeValue(forKey: "$retainKeys")?.arrayValue {
      let keys = Set(retained.compactMap(\.stringValue))
      members = members.filter { keys.contains($0.key) }
    }
    var orders: [String: [JSONValue]] = [:]
    for (key, change) in changes where key.hasPrefix("$") {
      changes[key] = nil
      guard let slash = key.firstIndex(of: "/") else { throw PatchError("unknown directive \"\(key)\"") }
      let field = String(key[key.index(after: slash)...])
      switch key[..<slash] {
      case "$setElementOrder": orders[field] = change.arrayValue ?? []
      case "$deleteFromPrimitiveList":
        let removed = Set(change.arrayValue ?? [])
        members[field] = members[field]?.arrayValue.map { .array($0.filter { !removed.contains($0) }) }
      default: throw PatchError("unknown directive \"\(key)\"")
      }
    }
    for (key, change) in changes {
      let member = schema.member(key) ?? .any
      if change.isNull {
        members[key] = nil
      } else if let elements = change.arrayValue {
        members[key] = .array(try list(elements, onto: members[key]?.arrayValue ?? [], member))
      } else {
        members[key] = try apply(change, to: members[key], member)
      }
    }
    for (key, order) in orders {
      guard let elements = members[key]?.arrayValue, let member = schema.member(key) else { continue }
      members[key] = .array(sorted(elements, by: order, member))
    }
    return .object(members)
  }

  private static func mergeKey(_ schema: Schema) -> String? {
    if case .map(let keys) = schema.rules.listType { keys.first } else { nil }
  }

  private static func list(
    _ changes: [JSONValue], onto existing: [JSONValue], _ schema: Schema
  ) throws(PatchError) -> [JSONValue] {
    if changes.contains(where: { $0["$patch"] == "replace" && $0.objectValue?.count == 1 }) {
      return changes.filter { $0["$patch"] == nil }
    }
    switch schema.rules.listType {
    case .atomic: return changes
    case .set:
      var result = existing
      for change in changes where !result.contains(change) { result.append(change) }
      return result
    case .map:
      guard let key = mergeKey(schema) else { return changes }
      var result = existing
      for change in changes {
        guard let id = change[key] else { throw PatchError("an element of the patch lacks its merge key \"\(key)\"") }
        let index = result.firstIndex { $0[key] == id }
        if change["$patch"] == "delete" {
          if let index { result.remove(at: index) }
        } else {
          let merged = try apply(change, to: index.map { result[$0] }, schema.rules.items ?? .any)
          if let index { result[index] = merged } else { result.append(merged) }
        }
      }
      return result
    }
  }

  /// Puts the named elements into the given order; the others keep their place after them.
  private static func sorted(_ elements: [JSONValue], by order: [JSONValue], _ schema: Schema) -> [JSONValue] {
    let key = mergeKey(schema)
    func id(_ element: JSONValue) -> JSONValue { key.flatMap { element[$0] } ?? element }
    let ranks = Dictionary(order.enumerated().map { (id($0.element), $0.offset) }) { first, _ in first }
    let named = elements.filter { ranks[id($0)] != nil }.sorted { (ranks[id($0)] ?? 0) < (ranks[id($1)] ?? 0) }
    return named + elements.filter { ranks[id($0)] == nil }
  }
}
