import JSON

/// Brings a value into the form of its schema: unknown fields out, defaults in.
enum Shaping {
  /// Removes the fields that the schema does not know, and nulls that say nothing. Returns the paths of what was unknown.
  static func prune(_ value: inout JSONValue, _ schema: Schema) -> [String] {
    var unknown: [String] = []
    prune(&value, schema, .root, isObjectRoot: true, &unknown)
    return unknown
  }

  private static func prune(
    _ value: inout JSONValue, _ schema: Schema, _ path: FieldPath, isObjectRoot: Bool = false,
    _ unknown: inout [String]
  ) {
    switch value {
    case .object(var members):
      value = .null
      for key in members.keys.sorted() {
        if schema.isEmbeddedResource || isObjectRoot, ["apiVersion", "kind"].contains(key) { continue }
        guard let member = schema.member(key) else {
          unknown.append(path.member(key).description)
          members[key] = nil
          continue
        }
        if members[key] == .some(.null), schema.rules.properties[key] != nil, !member.isNullable {
          members[key] = nil
          continue
        }
        guard var child = members.removeValue(forKey: key) else { continue }
        prune(&child, member, path.member(key, ofMap: schema.rules.properties[key] == nil), &unknown)
        members[key] = child
      }
      value = .object(members)
    case .array(var elements):
      guard let items = schema.rules.items else { return }
      value = .null
      for index in elements.indices { prune(&elements[index], items, path.element(index), &unknown) }
      value = .array(elements)
    default: break
    }
  }

  /// Fills in the defaults of absent members of objects that are there.
  static func applyDefaults(_ value: inout JSONValue, _ schema: Schema) {
    switch value {
    case .object(var members):
      value = .null
      for (key, property) in schema.rules.properties {
        if members[key] == nil, let value = property.defaultValue { members[key] = value }
        guard var child = members.removeValue(forKey: key) else { continue }
        applyDefaults(&child, property)
        members[key] = child
      }
      if let additional = schema.rules.additionalProperties, additional.type == .object || additional.type == .array {
        for key in members.keys where schema.rules.properties[key] == nil {
          guard var child = members.removeValue(forKey: key) else { continue }
          applyDefaults(&child, additional)
          members[key] = child
        }
      }
      value = .object(members)
    case .array(var elements):
      guard let items = schema.rules.items, items.type == .object || items.type == .array else { return }
      value = .null
      for index in elements.indices { applyDefaults(&elements[index], items) }
      value = .array(elements)
    default: break
    }
  }
}
