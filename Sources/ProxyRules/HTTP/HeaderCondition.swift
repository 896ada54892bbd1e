/// What a rule asks of one header, ready to compare.
struct HeaderCondition: Hashable, Sendable {
  /// In lower case.
  let name: [UInt8]
  /// Nil: any value.
  let value: [UInt8]?

  init(name: String, value: String?) {
    self.name = name.utf8.map(HeaderCondition.lowercased)
    self.value = value.map { Array($0.utf8) }
  }

  init(_ match: HTTPHeaderMatch) {
    self.init(name: match.name, value: match.value.isEmpty ? nil : match.value)
  }

  /// Reads `Name`, `Name:` or `Name: value`; nil when the name is no token (RFC 9110, 5.6.2).
  init?(parsing text: String) {
    // Cilium splits at the first space and drops the colon behind the name: `Name value` is allowed too.
    let separator = text.utf8.firstIndex { $0 == 0x20 || $0 == UInt8(ascii: ":") } ?? text.endIndex
    let name = String(text[..<separator])
    var rest = text[separator...]
    if rest.utf8.first == UInt8(ascii: ":") { rest.removeFirst() }
    let value = HeaderCondition.trimmed(rest)
    guard HeaderCondition.isToken(name) else { return nil }
    self.init(name: name, value: value.isEmpty ? nil : value)
  }

  static func isToken(_ name: String) -> Bool {
    !name.isEmpty
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x5E...0x7A, 0x7C, 0x7E: true
        default: "!#$%&'*+-.".utf8.contains(byte)
        }
      }
  }

  private static func trimmed(_ text: Substring) -> String {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    var bytes = text.utf8.drop(while: isSpace)
    while let last = bytes.last, isSpace(last) { bytes.removeLast() }
    return String(Substring(bytes))
  }

  /// Whether the header is there and, if a value is asked for, the values joined by `,` are that value.
  func holds(for headers: UnsafeBufferPointer<HTTPHeaderFacts>) -> Bool {
    var isPresent = false
    var compared = 0  // How much of the expected value has been seen.
    for header in headers where hasName(header.name) {
      guard let expected = value?.span else { return true }
      if isPresent {
        guard compared < expected.count, expected[compared] == UInt8(ascii: ",") else { return false }
        compared += 1
      }
      isPresent = true
      guard header.value.count <= expected.count - compared else { return false }
      for byte in header.value {
        guard byte == expected[compared] else { return false }
        compared += 1
      }
    }
    return isPresent && compared == value?.count ?? 0
  }

  private func hasName(_ other: UnsafeRawBufferPointer) -> Bool {
    let name = name.span
    guard other.count == name.count else { return false }
    for index in 0..<name.count where HeaderCondition.lowercased(other[index]) != name[index] { return false }
    return true
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 { 0x41...0x5A ~= byte ? byte | 0x20 : byte }
}
