/// RFC 4648, section 4, with line breaks tolerated as in files.
public enum Base64 {
  /// nil for text that is not base64.
  public static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var accumulator: UInt32 = 0
    var bits = 0
    var count = 0
    var padding = 0
    for byte in text.utf8 where byte != 0x0A && byte != 0x0D {
      count += 1
      if byte == UInt8(ascii: "=") {
        padding += 1
        continue
      }
      guard padding == 0, let digit = value(of: byte) else { return nil }
      accumulator = accumulator << 6 | digit
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: accumulator >> UInt32(bits)))
      }
    }
    guard count % 4 == 0, padding <= 2, padding * 2 == bits else { return nil }
    return bytes
  }

  /// As ``decode(_:)``, also for the alphabet of URLs (section 5) and without padding: what protobuf's JSON mapping allows.
  public static func decodeLeniently(_ text: String) -> [UInt8]? {
    var text = text.replacing("-", with: "+").replacing("_", with: "/")
    let digits = text.utf8.count { $0 != 0x0A && $0 != 0x0D }
    if digits % 4 > 1 { text += String(repeating: "=", count: 4 - digits % 4) }
    return decode(text)
  }

  private static func value(of byte: UInt8) -> UInt32? {
    switch byte {
    case 65...90: UInt32(byte - 65)
    case 97...122: UInt32(byte - 71)
    case 48...57: UInt32(byte + 4)
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
