import JSON

/// One protobuf message in its JSON form (https://protobuf.dev/programming-guides/json/), of which every field has been
/// looked at: what is unknown or not supported has been refused by its path.
struct Message {
  let cursor: JSONCursor
  private let members: [String: JSONCursor]

  /// `@type` is allowed where `isAny`, and ignored: who unpacks an Any has read it.
  init(_ cursor: JSONCursor, _ fields: MessageFields, isAny: Bool = false) throws(FieldError) {
    self.cursor = cursor
    var members: [String: JSONCursor] = [:]
    for (key, member) in try cursor.members() {
      if isAny, key == "@type" { continue }
      guard let name = fields.name(key) else { throw member.error("unknown field of \(fields.message)") }
      if member.value.isNull { continue }
      if fields.refused.contains(name) {
        if Message.isDefault(member.value) { continue }
        throw member.error("not supported")
      }
      guard members.updateValue(member, forKey: name) == nil else {
        throw member.error("written twice, as \(name) and as \(MessageFields.jsonName(name))")
      }
    }
    self.members = members
  }

  /// Whether a field that is not supported asks for nothing.
  private static func isDefault(_ value: JSONValue) -> Bool { value == .bool(false) || value == .array([]) }

  func member(_ name: String) -> JSONCursor? { members[name] }

  func required(_ name: String) throws(FieldError) -> JSONCursor {
    guard let member = members[name] else {
      throw FieldError(path: cursor.path.isEmpty ? name : "\(cursor.path).\(name)", message: "required")
    }
    return member
  }

  /// The one field of a oneof that is set; several are refused.
  func choice(_ names: String...) throws(FieldError) -> (name: String, cursor: JSONCursor)? {
    var found: (name: String, cursor: JSONCursor)?
    for name in names {
      guard let member = members[name] else { continue }
      if let found { throw member.error("can not be set together with \(found.name)") }
      found = (name, member)
    }
    return found
  }

  func string(_ name: String) throws(FieldError) -> String { try members[name]?.string() ?? "" }

  /// A string of at least one byte.
  func name(_ name: String) throws(FieldError) -> String {
    let text = try string(name)
    guard !text.isEmpty else { throw try required(name).error("must not be empty") }
    return text
  }

  func bool(_ name: String) throws(FieldError) -> Bool { try members[name]?.bool() ?? false }

  /// A google.protobuf.BoolValue, or a bool whose absence matters.
  func optionalBool(_ name: String) throws(FieldError) -> Bool? { try members[name]?.bool() }

  func uint32(_ name: String) throws(FieldError) -> UInt32? { try members[name]?.protobufInteger() }

  func duration(_ name: String) throws(FieldError) -> Duration? { try members[name]?.protobufDuration() }

  func strings(_ name: String) throws(FieldError) -> [String] {
    try list(name) { (element) throws(FieldError) in try element.string() }
  }

  func list<Element>(
    _ name: String, _ decode: (JSONCursor) throws(FieldError) -> Element
  ) throws(FieldError) -> [Element] {
    guard let member = members[name] else { return [] }
    var list: [Element] = []
    for element in try member.elements() { list.append(try decode(element)) }
    return list
  }

  func map<Value>(_ name: String, _ decode: (JSONCursor) throws(FieldError) -> Value) throws(FieldError) -> Value? {
    guard let member = members[name] else { return nil }
    return try decode(member)
  }
}
