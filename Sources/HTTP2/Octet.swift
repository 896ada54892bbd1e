#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Octet classes of RFC 9110 and RFC 3986, as bit masks over ASCII: a table would cost a lazy initialiser's check for
/// every octet.
public enum Octet {
  @inlinable public static var tab: UInt8 { UInt8(ascii: "\t") }
  @inlinable public static var lineFeed: UInt8 { UInt8(ascii: "\n") }
  @inlinable public static var carriageReturn: UInt8 { UInt8(ascii: "\r") }
  @inlinable public static var space: UInt8 { UInt8(ascii: " ") }
  @inlinable public static var colon: UInt8 { UInt8(ascii: ":") }

  /// `tchar` of RFC 9110, 5.6.2.
  @inlinable @inline(__always)
  public static func isToken(_ byte: UInt8) -> Bool {
    // ! # $ % & ' * + - . 0-9 | A-Z ^ _ ` a-z | ~
    contains(byte, low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE)
  }

  /// Visible ASCII but `"`, `#`, `<`, `>`, `\`, `^`, `` ` ``, `{`, `|`, `}` would be RFC 3986; clients in the field send
  /// most of those in queries, and none of them moves a boundary. `#` never belongs to a target.
  @inlinable @inline(__always)
  public static func isTarget(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "#") }

  /// Octets of `uri-host [":" port]` (RFC 3986, 3.2): unreserved, sub-delims, `%`, `:`, `[`, `]`.
  @inlinable @inline(__always)
  public static func isHost(_ byte: UInt8) -> Bool {
    contains(byte, low: 0x2FFF_7FF2_0000_0000, high: 0x47FF_FFFE_AFFF_FFFE)
  }

  @inlinable @inline(__always)
  public static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  /// The value of a hexadecimal digit; 255 for any other octet.
  @inlinable @inline(__always)
  public static func hexadecimal(_ byte: UInt8) -> UInt8 {
    if byte &- 0x30 < 10 { return byte &- 0x30 }
    let letter = (byte | 0x20) &- 0x61
    return letter < 6 ? letter &+ 10 : 255
  }

  /// `field-vchar`, space and tab (RFC 9110, 5.5).
  @inlinable @inline(__always)
  public static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 ? byte != 0x7F : byte == tab }

  /// Space or tab.
  @inlinable @inline(__always)
  public static func isSpace(_ byte: UInt8) -> Bool { byte == space || byte == tab }

  @inlinable @inline(__always)
  public static func lowercase(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

  @inlinable @inline(__always)
  static func contains(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
    if byte >= 128 { return false }
    return (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 != 0
  }

  @inline(__always)
  static func isEqual(_ one: UnsafePointer<UInt8>, _ other: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    memcmp(one, other, count) == 0
  }

  @inline(__always)
  static func isEqual(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ text: StaticString) -> Bool {
    count == text.utf8CodeUnitCount && memcmp(bytes, text.utf8Start, count) == 0
  }
}
