/// Reads a message from front to back; never beyond its end, and never in circles.
struct DNSReader {
  let bytes: UnsafeRawBufferPointer
  private(set) var at: Int

  static let maximumName = 255

  init(_ bytes: UnsafeRawBufferPointer, at: Int = 0) {
    self.bytes = bytes
    self.at = at
  }

  var isAtEnd: Bool { at == bytes.count }

  mutating func word() throws(DNSFault) -> UInt16 {
    guard at + 2 <= bytes.count else { throw .truncatedField }
    defer { at += 2 }
    return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
  }

  mutating func doubleWord() throws(DNSFault) -> UInt32 {
    let high = try word()
    return UInt32(high) << 16 | UInt32(try word())
  }

  mutating func skip(_ count: Int) throws(DNSFault) {
    guard at + count <= bytes.count else { throw .truncatedField }
    at += count
  }

  /// A name's text: labels in lower case joined by dots, none at the end; octets that are no letter, digit, `-` or `_`
  /// are escaped as `\DDD`, so that no dot within a label is taken for one between two.
  mutating func name() throws(DNSFault) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(64)
    try walk { label in
      if !text.isEmpty { text.append(UInt8(ascii: ".")) }
      for byte in label { DNSReader.append(byte, to: &text) }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Passes a name.
  mutating func skipName() throws(DNSFault) { try walk { _ in } }

  private mutating func walk(_ visit: (Slice<UnsafeRawBufferPointer>) -> Void) throws(DNSFault) {
    var position = at
    // Where the octets of the present run began: a pointer must lead before them.
    var limit = at
    var end: Int?
    var octets = 1
    while true {
      guard position < bytes.count else { throw .truncatedField }
      let length = Int(bytes[position])
      switch length & 0xC0 {
      case 0:
        if length == 0 {
          at = end ?? position + 1
          return
        }
        octets += length + 1
        guard octets <= DNSReader.maximumName else { throw .nameTooLong }
        guard position + 1 + length <= bytes.count else { throw .truncatedField }
        visit(bytes[(position + 1)..<(position + 1 + length)])
        position += 1 + length
      case 0xC0:
        guard position + 2 <= bytes.count else { throw .truncatedField }
        let target = (length & 0x3F) << 8 | Int(bytes[position + 1])
        guard target < limit, target >= DNSHeader.size else { throw .pointerNotBackwards }
        end = end ?? position + 2
        position = target
        limit = target
      default: throw .unknownLabelType
      }
    }
  }

  private static func append(_ byte: UInt8, to text: inout [UInt8]) {
    switch byte {
    case 0x61...0x7A, 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "_"): text.append(byte)
    case 0x41...0x5A: text.append(byte | 0x20)
    default:
      text.append(UInt8(ascii: "\\"))
      text.append(0x30 + byte / 100)
      text.append(0x30 + byte / 10 % 10)
      text.append(0x30 + byte % 10)
    }
  }
}
