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
    self.folding = folding
    let sorted = Set(texts.map { LiteralIndex.fold(Array($0.utf8), folding) }).sorted {
      $0.lexicographicallyPrecedes($1)
    }
    var parents: [Int32] = []
    var depth: [Int] = []
    for (index, text) in sorted.enumerated() {
      var parent = Int32(index) - 1
      while parent >= 0, !text.starts(with: sorted[Int(parent)]) { parent = parents[Int(parent)] }
      parents.append(parent)
      depth.append(parent < 0 ? 1 : depth[Int(parent)] + 1)
    }
    self.parents = parents
    maximumDepth = depth.max() ?? 0
    bytes = sorted.flatMap { $0 }
    offsets = sorted.reduce(into: [0]) { $0.append($0[$0.count - 1] + UInt32($1.count)) }
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
