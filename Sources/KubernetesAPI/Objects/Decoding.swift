import JSON

// The shapes that nearly every kind is made of.
extension JSONCursor {
  /// The elements of the array at `key`, decoded; nil when the array is absent.
  func list<Element>(
    _ key: String, _ decode: (JSONCursor) throws(FieldError) -> Element
  ) throws(FieldError) -> [Element]? {
    guard let member = try member(key) else { return nil }
    var list: [Element] = []
    for element in try member.elements() { list.append(try decode(element)) }
    return list
  }

  func strings(_ key: String) throws(FieldError) -> [String]? {
    try list(key) { (element) throws(FieldError) in try element.string() }
  }

  /// The object of strings at `key`; empty when it is absent.
  func stringMap(_ key: String) throws(FieldError) -> [String: String] {
    guard let member = try member(key) else { return [:] }
    var map: [String: String] = [:]
    for (key, cursor) in try member.members() { map[key] = try cursor.string() }
    return map
  }

  /// An integer within `range`.
  func integer<Value: FixedWidthInteger & Sendable>(in range: ClosedRange<Value>) throws(FieldError) -> Value {
    let integer = try integer()
    guard let value = Value(exactly: integer), range.contains(value) else {
      throw error("must be from \(range.lowerBound) to \(range.upperBound), is \(integer)")
    }
    return value
  }

  /// Refuses a document that claims to be of another kind. Items of a list carry neither apiVersion nor kind.
  func expect(_ resource: ResourceType) throws(FieldError) {
    if let kind = try member("kind"), try kind.string() != resource.kind {
      throw kind.error("must be \(resource.kind), is \(try kind.string())")
    }
    if let version = try member("apiVersion"), try version.string() != resource.apiVersion {
      throw version.error("must be \(resource.apiVersion), is \(try version.string())")
    }
  }
}
