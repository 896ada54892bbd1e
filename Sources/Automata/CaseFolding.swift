/// Simple case folding (the C and S lines of Unicode's CaseFolding.txt), derived from the standard library's case
/// mappings: code points are equivalent when mappings of a single scalar lead from one to the other.
enum CaseFolding {
  /// Adds to `output` the equivalents, outside themselves, of the code points of `range`.
  static func appendEquivalents(of range: ClosedRange<UInt32>, to output: inout [ClosedRange<UInt32>]) {
    if range.upperBound < 0x80 { return appendASCII(range, &output) }
    let table = equivalents
    var low = 0
    var high = table.count
    while low < high {
      let middle = (low + high) / 2
      if table[middle].scalar < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    while low < table.count, table[low].scalar <= range.upperBound {
      for other in table[low].others where !range.contains(other) { output.append(other...other) }
      low += 1
    }
  }

  /// What needs no table: most patterns are ASCII, and building the table reads all cased characters.
  private static func appendASCII(_ range: ClosedRange<UInt32>, _ output: inout [ClosedRange<UInt32>]) {
    for letters: ClosedRange<UInt32> in [0x41...0x5A, 0x61...0x7A] where range.overlaps(letters) {
      let part = range.clamped(to: letters)
      output.append((part.lowerBound ^ 0x20)...(part.upperBound ^ 0x20))
      if part.contains(letters.lowerBound + 10) { output.append(0x212A...0x212A) }  // KELVIN SIGN
      if part.contains(letters.lowerBound + 18) { output.append(0x17F...0x17F) }  // LATIN SMALL LETTER LONG S
    }
  }

  private struct Entry: Sendable {
    let scalar: UInt32
    let others: [UInt32]
  }

  private static let equivalents: [Entry] = {
    var groups: [UInt32: Set<UInt32>] = [:]
    // No cased character lives above U+1FFFF.
    for value in UInt32(0x41)..<0x20000 {
      // The dotless and the dotted i fold into i in Turkish only (the T lines of CaseFolding.txt).
      guard value != 0x130, value != 0x131, let scalar = Unicode.Scalar(value),
        scalar.properties.changesWhenCaseMapped
      else { continue }
      var group: Set<UInt32> = [value]
      for mapping in [
        scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping, scalar.properties.titlecaseMapping,
      ] {
        let scalars = mapping.unicodeScalars
        if let only = scalars.first, scalars.count == 1 { group.insert(only.value) }
      }
      guard group.count > 1 else { continue }
      for member in group { group.formUnion(groups[member] ?? []) }
      for member in group { groups[member] = group }
    }
    return groups.map { Entry(scalar: $0.key, others: $0.value.filter { [key = $0.key] in $0 != key }.sorted()) }
      .sorted { $0.scalar < $1.scalar }
  }()
}
