import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// Values of lines.
extension HeadWriter {
  /// Sixteen digits in lower case.
  mutating func put(hexadecimal number: UInt64) {
    for shift in stride(from: 60, through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift) & 15)
      var octet = digit < 10 ? digit &+ 48 : digit &+ 87
      put(&octet, 1)
    }
  }

  mutating func put(_ address: IPAddress, port: UInt16) {
    if address.isIPv6 { put("[") }
    put(address)
    put(address.isIPv6 ? "]:" : ":")
    put(decimal: Int(port))
  }

  mutating func put(_ address: String, port: UInt16) {
    let isIPv6 = address.utf8.contains(Octet.colon)
    if isIPv6 { put("[") }
    put(address.utf8)
    put(isIPv6 ? "]:" : ":")
    put(decimal: Int(port))
  }

  mutating func put(_ address: IPAddress) {
    guard let v4 = address.v4 else { return put(address.description.utf8) }
    for shift in stride(from: 24, through: 0, by: -8) {
      put(decimal: Int(v4 >> UInt32(shift) & 255))
      if shift > 0 { put(".") }
    }
  }

  /// What stands between the quotation marks of a JSON string (RFC 8259, 7). Octets that are not UTF-8 become U+FFFD.
  mutating func put(escaped text: some Collection<UInt8>) {
    if text.contains(where: { $0 >= 0x80 }) {
      // Rare, so that it may cost something.
      return put(plain: String(decoding: text, as: UTF8.self).utf8)
    }
    put(plain: text)
  }

  private mutating func put(plain text: some Collection<UInt8>) {
    for octet in text {
      switch octet {
      case UInt8(ascii: "\""): put("\\\"")
      case UInt8(ascii: "\\"): put("\\\\")
      case 0x0A: put("\\n")
      case 0x0D: put("\\r")
      case 0x09: put("\\t")
      case 0..<0x20:
        put("\\u00")
        for digit in [octet >> 4, octet & 15] {
          var letter = digit < 10 ? digit &+ 48 : digit &+ 87
          put(&letter, 1)
        }
      default:
        var octet = octet
        put(&octet, 1)
      }
    }
  }
}
