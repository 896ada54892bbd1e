import JSON

/// A set of fields, as `fieldsV1` of managed fields writes it: steps are `f:name`, `k:{"name":"x"}` for an element of a
/// keyed list and `v:"x"` for an element of a set.
struct FieldSet: Hashable, Sendable {
  /// The field itself belongs to the set; a step without children always does.
  var isMember = false
  var children: [String: FieldSet] = [:]

  var isEmpty: Bool { !isMember && children.isEmpty }

  /// The fields of `new` whose value `old` does not have.
  init(changedFrom old: JSONValue?, to new: JSONValue, _ schema: Schema) {
    if let members = new.objectValue, !members.isEmpty, !schema.isAtomicMap {
      let before = old?.objectValue
      for (key, value) in members {
        let child = FieldSet(changedFrom: before?[key], to: value, schema.member(key) ?? .any)
        if !child.isEmpty { children["f:" + key] = child }
      }
    } else if let elements = new.arrayValue, !elements.isEmpty, schema.rules.listType != .atomic {
      let before = old?.arrayValue ?? []
      for element in elements {
        if let key = schema.elementKey(element) {
          let match = before.first { schema.elementKey($0) == key }
          var child = FieldSet(changedFrom: match, to: element, schema.rules.items ?? .any)
          if match == nil { child.isMember = true }
          if !child.isEmpty { children["k:" + key] = child }
        } else if !before.contains(element) {
          children["v:" + element.text()] = FieldSet(isMember: true)
        }
      }
    } else {
      isMember = old != new
    }
  }

  init(isMember: Bool = false, children: [String: FieldSet] = [:]) {
    self.isMember = isMember
    self.children = children
  }

  /// All fields of an object that clients can own.
  init(of object: JSONValue, _ schema: Schema) {
    self.init(changedFrom: nil, to: object, schema)
    removeServerFields()
  }

  mutating func removeServerFields() {
    children["f:apiVersion"] = nil
    children["f:kind"] = nil
    guard var metadata = children["f:metadata"] else { return }
    for field in [
      "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields",
      "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
    ] {
      metadata.children["f:" + field] = nil
    }
    metadata.isMember = false
    children["f:metadata"] = metadata.isEmpty ? nil : metadata
  }

  init(fieldsV1 json: JSONValue) {
    for (step, child) in json.objectValue ?? [:] where step != "." {
      var set = FieldSet(fieldsV1: child)
      if child["."] != nil || set.children.isEmpty { set.isMember = true }
      children[step] = set
    }
  }

  var fieldsV1: JSONValue {
    var members = children.mapValues(\.fieldsV1)
    if isMember, !children.isEmpty { members["."] = [:] }
    return .object(members)
  }

  func union(_ other: FieldSet) -> FieldSet {
    FieldSet(
      isMember: isMember || other.isMember,
      children: children.merging(other.children) { mine, theirs in mine.union(theirs) })
  }

  func subtracting(_ other: FieldSet) -> FieldSet {
    var result = FieldSet(isMember: isMember && !other.isMember)
    for (step, child) in children {
      let rest = other.children[step].map(child.subtracting) ?? child
      if !rest.isEmpty { result.children[step] = rest }
    }
    return result
  }

  func intersection(_ other: FieldSet) -> FieldSet {
    var result = FieldSet(isMember: isMember && other.isMember)
    for (step, child) in children {
      guard let common = other.children[step].map(child.intersection), !common.isEmpty else { continue }
      result.children[step] = common
    }
    return result
  }

  /// The fields that this value still has; a field that became a leaf or stopped to be one stays owned.
  func restricted(to present: FieldSet) -> FieldSet {
    var result = FieldSet(isMember: isMember)
    for (step, child) in children {
      guard let rest = present.children[step].map(child.restricted), !rest.isEmpty else { continue }
      result.children[step] = rest
    }
    return result
  }

  /// The members as messages write them: `.spec.ports[port=80].name`.
  var paths: [String] {
    var result = isMember ? [""] : []
    for (step, child) in children.sorted(by: { $0.key < $1.key }) {
      result += child.paths.map { FieldSet.shown(step) + $0 }
    }
    return result
  }

  private static func shown(_ step: String) -> String {
    let text = String(step.dropFirst(2))
    if step.hasPrefix("f:") { return "." + text }
    guard step.hasPrefix("k:"), let keys = (try? JSONValue(parsing: text))?.objectValue else { return "[=\(text)]" }
    return "[" + keys.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text())" }.joined(separator: ",") + "]"
  }
}
