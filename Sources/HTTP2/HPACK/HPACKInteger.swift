/// Integers with a prefix (RFC 7541, 5.1).
enum HPACKInteger {
  /// More can not be meant here, and would overflow someone's counter.
  static let limit = 1 << 28

  /// Reads the integer whose prefix are the low `prefix` bits of the octet at `at`, and moves `at` behind it.
  @inline(__always)
  static func read(
    _ bytes: UnsafePointer<UInt8>, count: Int, at: inout Int, prefix: Int, _ number: inout Int
  ) -> HTTP2Fault? {
    let mask = 1 << prefix &- 1
    number = Int(bytes[at]) & mask
    at &+= 1
    if number < mask { return nil }
    var shift = 0
    while true {
      guard at < count else { return .truncatedHeaderBlock }
      let octet = bytes[at]
      at &+= 1
      // Five octets hold 35 bits; leading zeros beyond would be a way to say the same in endless length.
      guard shift <= 28 else { return .integerTooLarge }
      number &+= Int(octet & 0x7F) << shift
      if number > limit { return .integerTooLarge }
      if octet & 0x80 == 0 { return nil }
      shift &+= 7
    }
  }

  /// Writes an integer; `pattern` holds the bits above its prefix.
  @inline(__always)
  static func write(_ number: Int, prefix: Int, pattern: UInt8, to writer: inout OctetWriter) {
    let mask = 1 << prefix &- 1
    if number < mask { return writer.put(pattern | UInt8(truncatingIfNeeded: number)) }
    writer.put(pattern | UInt8(truncatingIfNeeded: mask))
    var rest = number &- mask
    while rest >= 128 {
      writer.put(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    writer.put(UInt8(truncatingIfNeeded: rest))
  }
}
