/// Ranges of 16-bit ports as prefixes, which is how the kernel's trie can hold them.
enum PortBlocks {
  /// The fewest blocks (first port, bits of prefix 0-16) whose union is `range`, ascending.
  static func cover(_ range: ClosedRange<UInt16>) -> [(port: UInt16, bits: UInt8)] {
    var blocks: [(port: UInt16, bits: UInt8)] = []
    var start = UInt32(range.lowerBound)
    let end = UInt32(range.upperBound)
    while start <= end {
      var free = min(16, start.trailingZeroBitCount)
      while start + (1 << UInt32(free)) - 1 > end { free -= 1 }
      blocks.append((UInt16(truncatingIfNeeded: start), UInt8(16 - free)))
      start += 1 << UInt32(free)
    }
    return blocks
  }
}
