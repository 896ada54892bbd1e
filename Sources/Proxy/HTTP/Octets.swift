/// Octet classes of RFC 9110 and RFC 3986, as bit masks over ASCII: a table would cost a lazy initialiser's check for
/// every octet.
enum Octet {
  static let tab = UInt8(ascii: "\t")
  static let lineFeed = UInt8(ascii: "\n")
  static let carriageReturn = UInt8(ascii: "\r")
  static let space = UInt8(ascii: " ")
  static let colon = UInt8(ascii: ":")

  /// `tchar` of RFC 9110, 5.6.2.
  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool {
    // ! # $ % & ' * + - . 0-9 | A-Z ^ _ ` a-z | ~
    contains(byte, low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE)
  }

  /// Visible ASCII but `"`, `#`, `<`, `>`, `\`, `^`, `` ` ``, `{`, `|`, `}` would be RFC 3986; clients in the field send
  /// most of those in queries, and none of them moves a boundary. `#` never belongs to a target.
  @inline(__always)
  static func isTarget(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "#") }

  /// Octets of `uri-host [":" port]` (RFC 3986, 3.2): unreserved, sub-delims, `%`, `:`, `[`, `]`.
  @inline(__always)
  static func isHost(_ byte: UInt8) -> Bool {
    contains(byte, low: 0x2FFF_7FF2_0000_0000, high: 0x47FF_FFFE_AFFF_FFFE)
  }

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  /// The value of a hexadecimal digit; 255 for any other octet.
  @inline(__always)
  static func hexadecimal(_ byte: UInt8) -> UInt8 {
    if byte &- 0x30 < 10 { return byte &- 0x30 }
    let letter = (byte | 0x20) &- 0x61
    return letter < 6 ? letter &+ 10 : 255
  }

  /// `field-vchar`, space and tab (RFC 9110, 5.5).
  @inline(__always)
  static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 ? byte != 0x7F : byte == tab }

  @inline(__always)
  static func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

  @inline(__always)
  private static func contains(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
    if byte >= 128 { return false }
    return (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 != 0
  }
}

/// A part of a head: offset and length in octets.
public struct ByteRange: Hashable, Sendable {
  public var start: Int
  public var count: Int

  public init(start: Int = 0, count: Int = 0) {
    self.start = start
    self.count = count
  }

  @inline(__always) var end: Int { start &+ count }

  /// Whether the range of `bytes` spells `text`, which must be lower case, in any case.
  func equalsIgnoringCase(_ text: StaticString, in bytes: UnsafePointer<UInt8>) -> Bool {
    guard text.utf8CodeUnitCount == count else { return false }
    let expected = text.utf8Start
    for index in 0..<count where Octet.lowercase(bytes[start &+ index]) != expected[index] { return false }
    return true
  }

  func string(in bytes: UnsafePointer<UInt8>) -> String {
    String(decoding: UnsafeBufferPointer(start: bytes + start, count: count), as: UTF8.self)
  }
}
