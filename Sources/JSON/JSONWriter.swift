extension JSONValue {
  /// JSON text in UTF-8. Keys are sorted; `pretty` indents by two spaces.
  public func serialized(pretty: Bool = false) -> [UInt8] {
    var writer = JSONWriter(pretty: pretty)
    writer.write(self)
    return writer.output
  }

  /// JSON text as a string. Keys are sorted; `pretty` indents by two spaces.
  public func text(pretty: Bool = false) -> String {
    String(decoding: serialized(pretty: pretty), as: UTF8.self)
  }
}

private struct JSONWriter {
  let pretty: Bool
  var output: [UInt8] = []
  var depth = 0

  init(pretty: Bool) { self.pretty = pretty }

  mutating func write(_ value: JSONValue) {
    switch value {
    case .null: append("null")
    case .bool(let bool): append(bool ? "true" : "false")
    case .integer(let integer): append(String(integer))
    case .number(let number): append(number.description)
    case .string(let string): write(string)
    case .array(let elements):
      list(open: "[", close: "]", elements) { writer, element in writer.write(element) }
    case .object(let members):
      let sorted = members.count < 2 ? Array(members) : members.sorted { $0.key < $1.key }
      list(open: "{", close: "}", sorted) { writer, member in
        writer.write(member.key)
        writer.append(writer.pretty ? ": " : ":")
        writer.write(member.value)
      }
    }
  }

  mutating func list<Element>(
    open: Unicode.Scalar, close: Unicode.Scalar, _ elements: [Element], _ body: (inout JSONWriter, Element) -> Void
  ) {
    output.append(UInt8(ascii: open))
    depth += 1
    for (index, element) in elements.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      newline()
      body(&self, element)
    }
    depth -= 1
    if !elements.isEmpty { newline() }
    output.append(UInt8(ascii: close))
  }

  mutating func newline() {
    guard pretty else { return }
    output.append(0x0A)
    output.append(contentsOf: repeatElement(0x20, count: depth * 2))
  }

  mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

  mutating func write(_ string: String) {
    output.append(UInt8(ascii: "\""))
    let isPlain = string.utf8.withContiguousStorageIfAvailable { bytes in
      guard !bytes.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
        return false
      }
      output.append(contentsOf: bytes)
      return true
    }
    if isPlain != true { writeEscaped(string) }
    output.append(UInt8(ascii: "\""))
  }

  private mutating func writeEscaped(_ string: String) {
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): append("\\\"")
      case UInt8(ascii: "\\"): append("\\\\")
      case 0x0A: append("\\n")
      case 0x0D: append("\\r")
      case 0x09: append("\\t")
      case 0..<0x20: append("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
      default: output.append(byte)
      }
    }
  }
}
