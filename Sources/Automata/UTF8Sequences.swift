/// Splits ranges of code points into products of byte ranges: what `[a-\x{10FFFF}]` says in UTF-8.
enum UTF8Sequences {
  typealias Sequence = [ClosedRange<UInt8>]

  /// The sequences of a set, in ascending order. Two of them begin with the same byte range or with disjoint ones, and
  /// so on behind a common beginning. Surrogates have no UTF-8 and are left out.
  static func sequences(of set: ScalarSet) -> [Sequence] {
    var output: [Sequence] = []
    for range in set.ranges {
      append(range.lowerBound, min(range.upperBound, 0xD7FF), &output)
      append(max(range.lowerBound, 0xE000), range.upperBound, &output)
    }
    return output
  }

  private static func append(_ low: UInt32, _ high: UInt32, _ output: inout [Sequence]) {
    guard low <= high else { return }
    for last: UInt32 in [0x7F, 0x7FF, 0xFFFF] where low <= last && last < high {
      append(low, last, &output)
      append(last + 1, high, &output)
      return
    }
    let length = encode(high).count
    for continuation in 1..<max(length, 1) {
      // Where the leading bytes differ, all values of the trailing ones must be covered.
      let mask: UInt32 = 1 << (6 * UInt32(continuation)) - 1
      guard low & ~mask != high & ~mask else { continue }
      if low & mask != 0 {
        append(low, low | mask, &output)
        append((low | mask) + 1, high, &output)
        return
      }
      if high & mask != mask {
        append(low, (high & ~mask) - 1, &output)
        append(high & ~mask, high, &output)
        return
      }
    }
    output.append(zip(encode(low), encode(high)).map { $0...$1 })
  }

  private static func encode(_ value: UInt32) -> [UInt8] {
    guard let scalar = Unicode.Scalar(value) else { return [] }
    return Array(UTF8.encode(scalar) ?? UTF8.EncodedScalar())
  }
}
