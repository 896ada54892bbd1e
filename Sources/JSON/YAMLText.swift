/// Writes a JSON document as block YAML. Strings that another reader could take for something else are quoted as JSON,
/// which YAML 1.2 contains.
public enum YAMLText {
  /// The document, with keys in their order and a line break at the end.
  public static func of(_ value: JSONValue) -> String {
    switch value {
    case .object(let members) where !members.isEmpty: lines(object: members, indent: 0)
    case .array(let elements) where !elements.isEmpty: lines(array: elements, indent: 0)
    default: scalar(value) + "\n"
    }
  }

  private static func lines(object members: [String: JSONValue], indent: Int) -> String {
    members.sorted { $0.key < $1.key }.map { key, value in
      pad(indent) + scalar(.string(key)) + ":" + nested(value, indent: indent + 2)
    }.joined()
  }

  private static func lines(array elements: [JSONValue], indent: Int) -> String {
    elements.map { element in
      switch element {
      case .object(let members) where !members.isEmpty:
        pad(indent) + "- " + lines(object: members, indent: indent + 2).dropFirst(indent + 2)
      default: pad(indent) + "-" + nested(element, indent: indent + 2)
      }
    }.joined()
  }

  private static func nested(_ value: JSONValue, indent: Int) -> String {
    switch value {
    case .object(let members) where !members.isEmpty: "\n" + lines(object: members, indent: indent)
    case .array(let elements) where !elements.isEmpty: "\n" + lines(array: elements, indent: indent)
    default: " " + scalar(value) + "\n"
    }
  }

  private static func scalar(_ value: JSONValue) -> String {
    guard case .string(let text) = value, isPlain(text) else { return value.text() }
    return text
  }

  private static func isPlain(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.last != UInt8(ascii: ":") else { return false }
    let letter = 65...90 ~= first || 97...122 ~= first || first == UInt8(ascii: "/")
    let words: Set<String> = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
    return letter && !words.contains(text.lowercased()) && !text.contains(": ")
      && text.utf8.allSatisfy { byte in
        48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte || "-_./:=".utf8.contains(byte)
      }
  }

  private static func pad(_ count: Int) -> String { String(repeating: " ", count: count) }
}
