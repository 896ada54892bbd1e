import JSON

/// A value that travels between the agent and its callers.
public protocol NodeModel: Hashable, Sendable {
  init(decoding cursor: JSONCursor) throws(FieldError)
  var json: JSONValue { get }
}

extension Sequence where Element: NodeModel {
  /// As an array of documents.
  public var json: JSONValue { .array(map(\.json)) }
}

extension JSONCursor {
  func text(_ key: String) throws(FieldError) -> String { try member(key)?.string() ?? "" }
  func optionalText(_ key: String) throws(FieldError) -> String? { try member(key)?.string() }
  func flag(_ key: String) throws(FieldError) -> Bool { try member(key)?.bool() ?? false }

  func number<Value: FixedWidthInteger>(_ key: String) throws(FieldError) -> Value {
    guard let member = try member(key) else { return 0 }
    guard let value = Value(exactly: try member.integer()) else { throw member.error("out of range") }
    return value
  }

  func texts(_ key: String) throws(FieldError) -> [String: String] {
    var texts: [String: String] = [:]
    for (key, value) in try member(key)?.members() ?? [] { texts[key] = try value.string() }
    return texts
  }

  func strings(_ key: String) throws(FieldError) -> [String] {
    try list(key) { (element) throws(FieldError) in try element.string() }
  }

  func list<Element>(
    _ key: String, _ decode: (JSONCursor) throws(FieldError) -> Element
  ) throws(FieldError) -> [Element] {
    var list: [Element] = []
    for element in try member(key)?.elements() ?? [] { list.append(try decode(element)) }
    return list
  }

  /// One of the values of an enumeration; `fallback` where the field is absent.
  func choice<Value: RawRepresentable<String>>(
    _ key: String, _ fallback: Value? = nil
  ) throws(FieldError) -> Value {
    guard let member = try member(key) else {
      if let fallback { return fallback }
      throw error("\(key) is required")
    }
    guard let value = Value(rawValue: try member.string()) else {
      throw member.error("unknown value \"\(try member.string())\"")
    }
    return value
  }
}

extension JSONValue {
  /// Without the members that are null.
  static func compact(_ members: [String: JSONValue]) -> JSONValue { .object(members.filter { !$0.value.isNull }) }

  static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
  static func texts(_ texts: [String: String]) -> JSONValue { .object(texts.mapValues { .string($0) }) }
  static func number(_ number: some FixedWidthInteger) -> JSONValue { .integer(Int64(clamping: number)) }
}
