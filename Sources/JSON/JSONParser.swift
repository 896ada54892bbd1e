/// Why a text is not JSON, and where.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  public let message: String
  /// Byte offset into the text.
  public let offset: Int

  public var description: String { "invalid JSON at byte \(offset): \(message)" }

  public init(message: String, offset: Int) {
    self.message = message
    self.offset = offset
  }
}

extension JSONValue {
  /// Parses one JSON text (RFC 8259) and nothing after it but white space. Duplicate keys are refused, as two readers
  /// of such an object may see different values; nesting is limited to 512 levels.
  public init(parsing bytes: some Collection<UInt8>) throws(JSONError) {
    let result: Result<JSONValue, JSONError>? = bytes.withContiguousStorageIfAvailable {
      JSONParser.parse($0)
    }
    if let result {
      self = try result.get()
    } else {
      self = try Array(bytes).withUnsafeBufferPointer { JSONParser.parse($0) }.get()
    }
  }

  public init(parsing text: String) throws(JSONError) {
    try self.init(parsing: Array(text.utf8))
  }
}

/// A JSON text of which some parts have been left out.
public struct PartialJSON: Sendable {
  /// Where a part has been left out, its place in `parts` as an integer.
  public let value: JSONValue
  /// Into the bytes that were parsed. Only found, not checked, as by ``JSONOutline``.
  public let parts: [Range<Int>]

  /// Parses as ``JSONValue/init(parsing:)-swift.init`` does, all but the values of members with one of `keys`.
  public init(parsing bytes: ArraySlice<UInt8>, leavingOut keys: [String]) throws(JSONError) {
    let start = bytes.startIndex
    let result = bytes.withUnsafeBufferPointer { buffer in
      var parser = JSONParser(bytes: buffer, skippedKeys: keys)
      return Result { () throws(JSONError) in (try parser.document(), parser.skipped) }
    }
    let skipped: [Range<Int>]
    (value, skipped) = try result.get()
    parts = skipped.map { $0.lowerBound + start..<$0.upperBound + start }
  }
}

private struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  /// Members with these keys are not parsed.
  var skippedKeys: [String] = []
  var skipped: [Range<Int>] = []
  var position = 0
  var depth = 0
  /// Members of the objects that are being read, so that a dictionary is made when its size is known.
  var members: [(key: String, start: Int, value: JSONValue)] = []

  static let maximumDepth = 512

  static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Result<JSONValue, JSONError> {
    var parser = JSONParser(bytes: bytes)
    return Result { () throws(JSONError) in try parser.document() }
  }

  mutating func document() throws(JSONError) -> JSONValue {
    let value = try self.value()
    skipSpace()
    guard position == bytes.count else { throw error("text after the end of the document") }
    return value
  }

  func error(_ message: String) -> JSONError { JSONError(message: message, offset: position) }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  mutating func value() throws(JSONError) -> JSONValue {
    skipSpace()
    guard let byte = current else { throw error("unexpected end") }
    switch byte {
    case UInt8(ascii: "{"): return try nested { (parser) throws(JSONError) in try parser.object() }
    case UInt8(ascii: "["): return try nested { (parser) throws(JSONError) in try parser.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw error("unexpected character")
    }
  }

  mutating func nested(_ body: (inout JSONParser) throws(JSONError) -> JSONValue) throws(JSONError) -> JSONValue {
    depth += 1
    guard depth <= JSONParser.maximumDepth else { throw error("nested too deeply") }
    let value = try body(&self)
    depth -= 1
    return value
  }

  mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let matches = text.withUTF8Buffer { expected in
      position + expected.count <= bytes.count
        && zip(expected, bytes[position..<position + expected.count]).allSatisfy(==)
    }
    guard matches else { throw error("unexpected character") }
    position += text.utf8CodeUnitCount
    return value
  }

  mutating func object() throws(JSONError) -> JSONValue {
    let first = members.count
    position += 1
    skipSpace()
    if current == UInt8(ascii: "}") {
      position += 1
      return .object([:])
    }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw error("expected a key") }
      let start = position
      let key = try string()
      skipSpace()
      guard current == UInt8(ascii: ":") else { throw error("expected ':'") }
      position += 1
      let member = try skippedKeys.contains(key) ? skip() : value()
      members.append((key, start, member))
      skipSpace()
      switch current {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return .object(try dictionary(from: first))
      default: throw error("expected ',' or '}'")
      }
    }
  }

  /// Of the members from `first` on, which it takes.
  mutating func dictionary(from first: Int) throws(JSONError) -> [String: JSONValue] {
    var dictionary = [String: JSONValue](minimumCapacity: members.count - first)
    for (key, start, value) in members[first...] {
      guard dictionary.updateValue(value, forKey: key) == nil else {
        throw JSONError(message: "duplicate key \"\(key)\"", offset: start)
      }
    }
    members.removeSubrange(first...)
    return dictionary
  }

  mutating func skip() throws(JSONError) -> JSONValue {
    skipSpace()
    var scanner = JSONScanner(bytes: bytes, position: position, end: bytes.count)
    try scanner.skipValue()
    skipped.append(position..<scanner.position)
    position = scanner.position
    return .integer(Int64(skipped.count - 1))
  }

  mutating func array() throws(JSONError) -> JSONValue {
    var elements: [JSONValue] = []
    position += 1
    skipSpace()
    if current == UInt8(ascii: "]") {
      position += 1
      return .array(elements)
    }
    while true {
      elements.append(try value())
      skipSpace()
      switch current {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return .array(elements)
      default: throw error("expected ',' or ']'")
      }
    }
  }

  mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    var all: UInt8 = 0
    while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
      all |= byte
      position += 1
    }
    if current == UInt8(ascii: "\"") {
      defer { position += 1 }
      let found = UnsafeBufferPointer(rebasing: bytes[start..<position])
      return all < 0x80 ? String(decoding: found, as: UTF8.self) : try text(found)
    }
    var unescaped = Array(bytes[start..<position])
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try text(unescaped)
      case UInt8(ascii: "\\"): try escape(into: &unescaped)
      case 0..<0x20: throw error("control character in a string")
      default:
        unescaped.append(byte)
        position += 1
      }
    }
    throw error("string without an end")
  }

  func text(_ bytes: some Collection<UInt8>) throws(JSONError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw error("string is not UTF-8") }
    return text
  }

  mutating func escape(into output: inout [UInt8]) throws(JSONError) {
    position += 1
    guard let kind = current else { throw error("unexpected end") }
    position += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(kind)
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if 0xD800..<0xDC00 ~= code, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = try hexadecimal()
        guard 0xDC00..<0xE000 ~= low else { throw error("unpaired surrogate") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("unpaired surrogate") }
      output.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw error("unknown escape")
    }
  }

  mutating func hexadecimal() throws(JSONError) -> UInt32 {
    guard position + 4 <= bytes.count else { throw error("unexpected end") }
    var code: UInt32 = 0
    for byte in bytes[position..<position + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw error("expected four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
    }
    position += 4
    return code
  }

  mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { 48...57 ~= $0 } ?? false }
    var isInteger = true
    if current == UInt8(ascii: "-") { position += 1 }
    guard isDigit(current) else { throw error("expected a digit") }
    let leadingZero = current == UInt8(ascii: "0")
    position += 1
    guard !(leadingZero && isDigit(current)) else { throw error("number with a leading zero") }
    while isDigit(current) { position += 1 }
    if current == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      guard isDigit(current) else { throw error("expected a digit") }
      while isDigit(current) { position += 1 }
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      guard isDigit(current) else { throw error("expected a digit") }
      while isDigit(current) { position += 1 }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let integer = Int64(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else { throw error("number out of range") }
    return .number(number)
  }
}
