#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Texts, sorted, with for each one the longest other that it begins with: one binary search and a walk find every text that
/// another one begins with. It never allocates when it is asked.
struct LiteralIndex: Sendable {
  /// How the texts and what is looked for are compared.
  struct Folding: Sendable {
    /// ASCII letters are the same in both cases.
    var ignoresCase = false
    /// From the end to the beginning: what begins with a text ends with it.
    var isReversed = false
  }

  private let folding: Folding
  private let bytes: [UInt8]
  /// Where text i begins in `bytes`; one more than there are texts.
  private let offsets: [UInt32]
  /// The longest text that text i begins with, or -1.
  private let parents: [Int32]
  /// The most texts that one text can begin with.
  let maximumDepth: Int

  /// The index of a text is its place in the sorted order of `texts`, each of which is there once.
  init(_ texts: some Sequence<String>, _ folding: Folding = Folding()) {
    self = LiteralIndex.build(texts, folding).index
  }

  /// The index, and that of each of `texts`.
  static func build(
    _ texts: some Sequence<String>, _ folding: Folding = Folding()
  ) -> (index: LiteralIndex, places: [Int]) {
    let folded = texts.map { fold(Array($0.utf8), folding) }
    var places = Array(repeating: 0, count: folded.count)
    var sorted: [[UInt8]] = []
    sorted.reserveCapacity(folded.count)
    for text in folded.indices.sorted(by: { order(folded[$0], folded[$1]) < 0 }) {
      if sorted.last.map({ order($0, folded[text]) != 0 }) ?? true { sorted.append(folded[text]) }
      places[text] = sorted.count - 1
    }
    return (LiteralIndex(sorted: sorted, folding), places)
  }

  /// Of texts in their order, each of which is there once.
  private init(sorted: [[UInt8]], _ folding: Folding) {
    self.folding = folding
    var parents: [Int32] = []
    var depth: [Int] = []
    for (index, text) in sorted.enumerated() {
      var parent = Int32(index) - 1
      while parent >= 0, !LiteralIndex.begins(text, with: sorted[Int(parent)]) { parent = parents[Int(parent)] }
      parents.append(parent)
      depth.append(parent < 0 ? 1 : depth[Int(parent)] + 1)
    }
    self.parents = parents
    maximumDepth = depth.max() ?? 0
    bytes = Array(sorted.joined())
    offsets = sorted.reduce(into: [0]) { $0.append($0[$0.count - 1] + UInt32($1.count)) }
  }

  /// Negative, zero or positive, as memcmp(3) has it.
  private static func order(_ left: [UInt8], _ right: [UInt8]) -> Int {
    let common = min(left.count, right.count)
    let order = left.withUnsafeBufferPointer { left in
      right.withUnsafeBufferPointer { right in
        guard common > 0, let left = left.baseAddress, let right = right.baseAddress else { return Int32(0) }
        return memcmp(left, right, common)
      }
    }
    return order == 0 ? left.count - right.count : Int(order)
  }

  private static func begins(_ text: [UInt8], with other: [UInt8]) -> Bool {
    guard text.count >= other.count, !other.isEmpty else { return other.isEmpty }
    return text.withUnsafeBufferPointer { text in
      other.withUnsafeBufferPointer { other in
        guard let left = text.baseAddress, let right = other.baseAddress else { return false }
        return memcmp(left, right, other.count) == 0
      }
    }
  }

  var count: Int { parents.count }

  func length(_ index: Int) -> Int { Int(offsets[index + 1] - offsets[index]) }

  /// The longest text that text `index` begins with.
  func parent(_ index: Int) -> Int? { parents[index] < 0 ? nil : Int(parents[index]) }

  /// The index of a text that is there.
  func index(of text: String) -> Int? {
    Array(text.utf8).withUnsafeBytes { index(of: $0) }
  }

  func index(of text: UnsafeRawBufferPointer) -> Int? {
    guard let found = longestPrefix(of: text), length(found) == text.count else { return nil }
    return found
  }

  /// The longest of the texts that `text` begins with.
  func longestPrefix(of text: UnsafeRawBufferPointer) -> Int? {
    // The last text that does not sort behind it; all that it begins with are that one and those that that one begins with.
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isAtMost(middle, text) { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return nil }
    let common = commonLength(low - 1, text)
    var candidate = Int32(low - 1)
    while candidate >= 0, length(Int(candidate)) > common { candidate = parents[Int(candidate)] }
    return candidate < 0 ? nil : Int(candidate)
  }

  private func isAtMost(_ index: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    let common = commonLength(index, text)
    if common == length(index) { return true }
    if common == text.count { return false }
    return bytes[Int(offsets[index]) + common] < byte(text, common)
  }

  private func commonLength(_ index: Int, _ text: UnsafeRawBufferPointer) -> Int {
    let start = Int(offsets[index])
    let limit = min(length(index), text.count)
    let literal = bytes.span
    var common = 0
    while common < limit, literal[start + common] == byte(text, common) { common += 1 }
    return common
  }

  @inline(__always)
  private func byte(_ text: UnsafeRawBufferPointer, _ position: Int) -> UInt8 {
    let byte = text[folding.isReversed ? text.count - 1 - position : position]
    return folding.ignoresCase ? byte.asciiLowercased : byte
  }

  private static func fold(_ bytes: [UInt8], _ folding: Folding) -> [UInt8] {
    let bytes = folding.ignoresCase ? bytes.map(\.asciiLowercased) : bytes
    return folding.isReversed ? bytes.reversed() : bytes
  }
}

extension UInt8 {
  @inline(__always)
  var asciiLowercased: UInt8 { 0x41...0x5A ~= self ? self | 0x20 : self }
}
