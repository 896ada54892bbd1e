/// A place in a document: the value there and the path that leads to it. Typed objects are decoded through cursors, so
/// every error names the field.
public struct JSONCursor: Sendable {
  public let value: JSONValue
  /// As Kubernetes writes it: `spec.ingress[0].toPorts[1].ports[0].port`; empty at the root.
  public let path: String

  public init(_ value: JSONValue, path: String = "") {
    self.value = value
    self.path = path
  }
}

/// What is wrong with a field, and which.
public struct FieldError: Error, Hashable, Sendable, CustomStringConvertible {
  public let path: String
  public let message: String

  public init(path: String, message: String) {
    self.path = path
    self.message = message
  }

  public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

extension JSONCursor {
  public func error(_ message: String) -> FieldError { FieldError(path: path, message: message) }

  /// The member `key` of an object; nil when it is absent or null.
  public func member(_ key: String) throws(FieldError) -> JSONCursor? {
    guard let value = try object()[key], !value.isNull else { return nil }
    return JSONCursor(value, path: pathOfMember(key))
  }

  /// The member `key`, which must be there.
  public func required(_ key: String) throws(FieldError) -> JSONCursor {
    guard let member = try member(key) else { throw FieldError(path: pathOfMember(key), message: "required") }
    return member
  }

  public func object() throws(FieldError) -> [String: JSONValue] {
    guard let object = value.objectValue else { throw expected("an object") }
    return object
  }

  /// The members of an object in the order of their keys.
  public func members() throws(FieldError) -> [(key: String, cursor: JSONCursor)] {
    try object().sorted { $0.key < $1.key }.map { ($0.key, JSONCursor($0.value, path: pathOfMember($0.key))) }
  }

  public func elements() throws(FieldError) -> [JSONCursor] {
    guard let array = value.arrayValue else { throw expected("an array") }
    return array.enumerated().map { JSONCursor($0.element, path: "\(path)[\($0.offset)]") }
  }

  public func string() throws(FieldError) -> String {
    guard let string = value.stringValue else { throw expected("a string") }
    return string
  }

  public func bool() throws(FieldError) -> Bool {
    guard let bool = value.boolValue else { throw expected("a boolean") }
    return bool
  }

  public func integer() throws(FieldError) -> Int64 {
    guard let integer = value.integerValue else { throw expected("an integer") }
    return integer
  }

  /// Refuses every member whose key is not listed, by its path.
  public func allowOnly(_ keys: Set<String>) throws(FieldError) {
    for key in try object().keys.sorted() where !keys.contains(key) {
      throw FieldError(path: pathOfMember(key), message: "unknown field")
    }
  }

  private func expected(_ what: String) -> FieldError { error("must be \(what), is \(value.typeName)") }

  private func pathOfMember(_ key: String) -> String {
    let plain = key.utf8.allSatisfy { byte in
      48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte || byte == 95 || byte == 45 || byte == 36
    }
    let step = plain ? key : "[\(key)]"
    return path.isEmpty || !plain ? path + step : "\(path).\(step)"
  }
}
