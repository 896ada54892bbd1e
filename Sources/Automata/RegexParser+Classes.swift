extension RegexParser {
  /// Reads `[…]`.
  mutating func bracketClass() throws(RegexSyntaxError) -> ScalarSet {
    let start = position
    position += 1
    let isNegated = current == "^"
    if isNegated { position += 1 }
    var ranges: [ClosedRange<UInt32>] = []
    var isFirst = true
    while let scalar = current, scalar != "]" || isFirst {
      isFirst = false
      if scalar == "[" && peek(1) == ":", let set = try posixClass() {
        ranges += set.ranges
      } else if scalar == "\\", let set = try classEscape() {
        ranges += set.ranges
      } else {
        let range = try classRange()
        ranges.append(range)
        if flags.foldsCase { CaseFolding.appendEquivalents(of: range, to: &ranges) }
      }
    }
    guard current == "]" else { throw error("missing ]", at: start) }
    position += 1
    let set = ScalarSet(ranges)
    return isNegated ? set.complement : set
  }

  /// Reads `[:name:]` or `[:^name:]`; nil, with nothing read, when there is no `:]` to end it.
  private mutating func posixClass() throws(RegexSyntaxError) -> ScalarSet? {
    let start = position
    var end = position + 2
    while end + 1 < scalars.count, !(scalars[end] == ":" && scalars[end + 1] == "]") { end += 1 }
    guard end + 1 < scalars.count else { return nil }
    var name = scalars[(position + 2)..<end]
    let isNegated = name.first == "^"
    if isNegated { name.removeFirst() }
    var text = ""
    text.unicodeScalars.append(contentsOf: name)
    guard let set = NamedClasses.posix(text) else { throw error("unknown class [:\(text):]", at: start) }
    position = end + 2
    return folded(set, negated: isNegated)
  }

  private mutating func classRange() throws(RegexSyntaxError) -> ClosedRange<UInt32> {
    let start = position
    let low = try classScalar()
    // A hyphen before the closing bracket is a literal.
    guard current == "-", let next = peek(1), next != "]" else { return low...low }
    position += 1
    let high = try classScalar()
    guard low <= high else { throw error("class range in the wrong order", at: start) }
    return low...high
  }

  private mutating func classScalar() throws(RegexSyntaxError) -> UInt32 {
    guard let scalar = current else { throw error("missing ]") }
    if scalar == "\\" { return try scalarEscape().value }
    position += 1
    return scalar.value
  }
}
