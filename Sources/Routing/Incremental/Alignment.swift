#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Which of the parts of an earlier whole stands in the place of each part of a later one: those before and behind what has
/// changed are equal, and of what is between, each is in the place of its counterpart where there are as many.
struct Alignment {
  private let prefix: Int
  private let suffix: Int
  private let count: Int
  private let knownCount: Int
  private let equalBetween: Set<Int>

  /// - Parameter isEqual: Whether a part is as a known one.
  init(_ count: Int, _ knownCount: Int, _ isEqual: (_ part: Int, _ known: Int) -> Bool) {
    self.count = count
    self.knownCount = knownCount
    let shared = min(count, knownCount)
    var prefix = 0
    while prefix < shared, isEqual(prefix, prefix) { prefix += 1 }
    var suffix = 0
    while suffix < shared - prefix, isEqual(count - 1 - suffix, knownCount - 1 - suffix) { suffix += 1 }
    self.prefix = prefix
    self.suffix = suffix
    equalBetween = count == knownCount ? Set((prefix..<count - suffix).filter { isEqual($0, $0) }) : []
  }

  /// Of parts of texts, by their octets.
  init(_ text: [UInt8], _ parts: [Range<Int>], with knownText: [UInt8], _ known: [Range<Int>]) {
    self.init(parts.count, known.count) { index, place in
      let (part, other) = (parts[index], known[place])
      guard part.count == other.count else { return false }
      return text.withUnsafeBytes { bytes in
        knownText.withUnsafeBytes { known in
          guard let left = bytes.baseAddress, let right = known.baseAddress else { return part.isEmpty }
          return memcmp(left + part.lowerBound, right + other.lowerBound, part.count) == 0
        }
      }
    }
  }

  /// The place of what may be compared with part `index`; nil for none.
  subscript(index: Int) -> Int? {
    if index < prefix { return index }
    if index >= count - suffix { return index - count + knownCount }
    return count == knownCount ? index : nil
  }

  /// Whether part `index` is as its counterpart.
  func isEqual(_ index: Int) -> Bool { index < prefix || index >= count - suffix || equalBetween.contains(index) }
}
