#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where the parts of a JSON text are, found without making values of them: for who compares a text with an earlier one and
/// reads only what differs. A part that is only found has not been checked.
public enum JSONOutline {
  /// A member of an object.
  public struct Member: Hashable, Sendable {
    public let key: String
    /// Of its value.
    public let range: Range<Int>
  }

  /// The members of the object that `bytes[range]` is, in their order. Throws where it is none, and for a key that is there
  /// twice.
  public static func members(_ bytes: [UInt8], in range: Range<Int>) throws(JSONError) -> [Member] {
    try withScanner(bytes, range) { (scanner) throws(JSONError) in
      var members: [Member] = []
      var keys: Set<String> = []
      try scanner.list(UInt8(ascii: "{"), UInt8(ascii: "}"), "an object") { (scanner) throws(JSONError) in
        let start = scanner.position
        guard scanner.current == UInt8(ascii: "\"") else { throw scanner.error("expected a key") }
        try scanner.skipValue()
        guard case .string(let key) = try JSONValue(parsing: bytes[start..<scanner.position]) else {
          throw scanner.error("expected a key")
        }
        guard keys.insert(key).inserted else {
          throw JSONError(message: "duplicate key \"\(key)\"", offset: start)
        }
        scanner.skipSpace()
        guard scanner.current == UInt8(ascii: ":") else { throw scanner.error("expected ':'") }
        scanner.position += 1
        scanner.skipSpace()
        let value = scanner.position
        try scanner.skipValue()
        members.append(Member(key: key, range: value..<scanner.position))
      }
      return members
    }
  }

  /// The elements of the array that `bytes[range]` is. Throws where it is none.
  public static func elements(_ bytes: [UInt8], in range: Range<Int>) throws(JSONError) -> [Range<Int>] {
    try withScanner(bytes, range) { (scanner) throws(JSONError) in
      var elements: [Range<Int>] = []
      try scanner.list(UInt8(ascii: "["), UInt8(ascii: "]"), "an array") { (scanner) throws(JSONError) in
        let start = scanner.position
        try scanner.skipValue()
        elements.append(start..<scanner.position)
      }
      return elements
    }
  }

  private static func withScanner<Value>(
    _ bytes: [UInt8], _ range: Range<Int>, _ body: (inout JSONScanner) throws(JSONError) -> Value
  ) throws(JSONError) -> Value {
    let result: Result<Value, JSONError> = bytes.withUnsafeBufferPointer { buffer in
      var scanner = JSONScanner(bytes: buffer, position: range.lowerBound, end: range.upperBound)
      return Result { () throws(JSONError) in
        let value = try body(&scanner)
        scanner.skipSpace()
        guard scanner.position == scanner.end else { throw scanner.error("text after the end of the document") }
        return value
      }
    }
    return try result.get()
  }
}

/// Walks over values.
struct JSONScanner {
  let bytes: UnsafeBufferPointer<UInt8>
  var position: Int
  let end: Int

  func error(_ message: String) -> JSONError { JSONError(message: message, offset: position) }

  var current: UInt8? { position < end ? bytes[position] : nil }

  mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// Calls `element` at the beginning of each element.
  mutating func list(
    _ opening: UInt8, _ closing: UInt8, _ kind: String, _ element: (inout JSONScanner) throws(JSONError) -> Void
  ) throws(JSONError) {
    skipSpace()
    guard current == opening else { throw error("expected \(kind)") }
    position += 1
    skipSpace()
    if current == closing {
      position += 1
      return
    }
    while true {
      skipSpace()
      try element(&self)
      skipSpace()
      guard let byte = current, byte == closing || byte == UInt8(ascii: ",") else {
        throw error("expected ',' or the end of \(kind)")
      }
      position += 1
      if byte == closing { return }
    }
  }

  /// Goes behind the value that begins here. That it is one is not checked; it ends where a well-formed one would.
  mutating func skipValue() throws(JSONError) {
    var depth = 0
    repeat {
      guard let byte = current else { throw error("unexpected end") }
      switch byte {
      case UInt8(ascii: "\""): try skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        position += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        guard depth > 0 else { throw error("unexpected character") }
        depth -= 1
        position += 1
      case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0A, 0x0D, 0x09:
        guard depth > 0 else { throw error("unexpected character") }
        position += 1
      default: skipWord()
      }
    } while depth > 0
  }

  /// A number, or true, false and null.
  private mutating func skipWord() {
    while let byte = current {
      switch byte {
      case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "["),
        UInt8(ascii: "{"), UInt8(ascii: "\""), 0x20, 0x0A, 0x0D, 0x09:
        return
      default: position += 1
      }
    }
  }

  private mutating func skipString() throws(JSONError) {
    position += 1
    guard let base = bytes.baseAddress else { throw error("unexpected end") }
    while position < end, let found = memchr(base + position, 0x22, end - position) {
      let quote = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - base
      var backslashes = 0
      while quote - backslashes > position, base[quote - backslashes - 1] == UInt8(ascii: "\\") { backslashes += 1 }
      position = quote + 1
      if backslashes.isMultiple(of: 2) { return }
    }
    throw error("string without an end")
  }
}
