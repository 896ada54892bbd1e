import JSON

/// What a value must look like: the part of JSON Schema that Kubernetes calls structural, with the extensions that say how
/// lists and maps merge. Built once, never changed; types that several fields share are one object.
@dynamicMemberLookup
final class Schema: Sendable {
  let rules: SchemaRules

  init(_ rules: SchemaRules) { self.rules = rules }

  subscript<Value>(dynamicMember path: KeyPath<SchemaRules, Value> & Sendable) -> Value { rules[keyPath: path] }

  /// Accepts any value and keeps every field.
  static let any = Schema(SchemaRules(type: .any, preservesUnknown: true))
  static let string = Schema(SchemaRules(type: .string))
}

enum SchemaType: String, Sendable {
  case string, integer, number, boolean, object, array
  case intOrString = "int-or-string"
  /// Says nothing about the type.
  case any
}

/// How a list merges (`x-kubernetes-list-type`).
enum ListType: Hashable, Sendable {
  case atomic
  case set
  /// Elements are told apart by these members; the first is the key of strategic merge patches.
  case map(keys: [String])
}

struct SchemaRules: Sendable {
  var type: SchemaType
  /// The name of a shared type, for OpenAPI components; nil for an inline schema.
  var name: String?
  var description = ""
  var properties: [String: Schema] = [:]
  var required: [String] = []
  var additionalProperties: Schema?
  var preservesUnknown = false
  var isEmbeddedResource = false
  var items: Schema?
  var listType = ListType.atomic
  var isAtomicMap = false
  /// Strategic merge: members that the patch does not list in `$retainKeys` go.
  var retainsKeys = false
  var enumeration: [JSONValue] = []
  var pattern: String?
  var format: String?
  var minimum: Double?
  var maximum: Double?
  var exclusiveMinimum = false
  var exclusiveMaximum = false
  var multipleOf: Double?
  var minLength: Int?
  var maxLength: Int?
  var minItems: Int?
  var maxItems: Int?
  var uniqueItems = false
  var minProperties: Int?
  var maxProperties: Int?
  var defaultValue: JSONValue?
  var isNullable = false
  var allOf: [Schema] = []
  var anyOf: [Schema] = []
  var oneOf: [Schema] = []
  var not: Schema?

  init(type: SchemaType, preservesUnknown: Bool = false) {
    self.type = type
    self.preservesUnknown = preservesUnknown
  }
}

extension Schema {
  /// The schema of a member; nil when the member is unknown.
  func member(_ key: String) -> Schema? {
    if let property = rules.properties[key] { return property }
    if let additional = rules.additionalProperties { return additional }
    return rules.preservesUnknown || rules.type == .any ? .any : nil
  }

  /// True for a map with free keys, as opposed to an object with named fields.
  var isMap: Bool { rules.additionalProperties != nil || rules.properties.isEmpty }

  /// The string that tells an element of a keyed list from the others; nil when a key is missing without a default.
  func elementKey(_ element: JSONValue) -> String? {
    guard case .map(let keys) = rules.listType else { return nil }
    var members: [String: JSONValue] = [:]
    for key in keys {
      guard let value = element[key] ?? rules.items?.rules.properties[key]?.rules.defaultValue else {
        if keys.count == 1 { return nil }
        continue
      }
      members[key] = value
    }
    return JSONValue.object(members).text()
  }
}
