/// Strings in HPACK's Huffman code (RFC 7541, 5.2).
enum Huffman {
  enum Outcome: Equatable {
    case octets(Int)
    /// They would be more than there is room for.
    case tooLong
    case fault
  }

  /// Decodes `count` octets into `output`, which has `room`.
  static func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, into output: UnsafeMutablePointer<UInt8>, room: Int,
    _ tables: HPACKTables
  ) -> Outcome {
    // The next bits, at the high end, above zeros.
    var next: UInt64 = 0
    var bits = 0
    var at = 0
    var written = 0
    while true {
      while bits <= 56, at < count {
        next |= UInt64(bytes[at]) << UInt64(56 &- bits)
        bits &+= 8
        at &+= 1
      }
      let entry = tables.short[Int(next >> UInt64(64 &- HPACKTables.shortBits))]
      var length = Int(entry >> 8)
      var symbol = Int(entry & 0xFF)
      if length == 0 {
        length = HPACKTables.shortBits &+ 1
        while true {
          let offset = UInt32(truncatingIfNeeded: next >> UInt64(64 &- length)) &- tables.firstCodes[length]
          if offset < tables.counts[length] {
            symbol = Int(tables.symbols[Int(tables.firstSymbols[length] &+ offset)])
            break
          }
          length &+= 1
          if length > HuffmanCode.longest { return .fault }
        }
      }
      if length > bits { return isPadding(next, bits) ? .octets(written) : .fault }
      if symbol == HuffmanCode.endOfString { return .fault }
      guard written < room else { return .tooLong }
      output[written] = UInt8(truncatingIfNeeded: symbol)
      written &+= 1
      next <<= UInt64(length)
      bits &-= length
    }
  }

  /// Less than an octet, all ones: the beginning of the end of a string.
  @inline(__always)
  private static func isPadding(_ next: UInt64, _ bits: Int) -> Bool {
    bits == 0 || (bits < 8 && next >> UInt64(64 &- bits) == 1 << UInt64(bits) &- 1)
  }

  /// Octets that a string takes in the code.
  static func length(_ bytes: UnsafePointer<UInt8>, count: Int, _ tables: HPACKTables) -> Int {
    var bits = 7
    for index in 0..<count { bits &+= Int(tables.lengths[Int(bytes[index])]) }
    return bits >> 3
  }

  /// Encodes into `output`, which has room for what `length` says.
  static func encode(
    _ bytes: UnsafePointer<UInt8>, count: Int, into output: UnsafeMutablePointer<UInt8>, _ tables: HPACKTables
  ) {
    var pending: UInt64 = 0
    var bits: UInt64 = 0
    var at = 0
    for index in 0..<count {
      let symbol = Int(bytes[index])
      let length = UInt64(tables.lengths[symbol])
      pending = pending << length | UInt64(tables.codes[symbol])
      bits &+= length
      while bits >= 8 {
        bits &-= 8
        output[at] = UInt8(truncatingIfNeeded: pending >> bits)
        at &+= 1
      }
    }
    if bits > 0 { output[at] = UInt8(truncatingIfNeeded: pending << (8 &- bits) | 0xFF >> bits) }
  }
}
