extension RegexParser {
  /// Reads an escape outside of brackets.
  mutating func escape() throws(RegexSyntaxError) {
    guard let letter = peek(1) else { throw error("\\ at the end") }
    switch letter {
    case "A": simple(.assertion(.beginText))
    case "z": simple(.assertion(.endText))
    case "b": simple(.assertion(.wordBoundary))
    case "B": simple(.assertion(.notWordBoundary))
    case "C": simple(.anyByte)
    case "Q":
      position += 2
      while let scalar = current {
        if scalar == "\\" && peek(1) == "E" {
          position += 2
          return
        }
        position += 1
        pushLiteral(scalar)
      }
    default:
      if let set = try classEscape() {
        push(.scalar(set))
      } else {
        pushLiteral(try scalarEscape())
      }
    }
  }

  private mutating func simple(_ node: RegexNode) {
    position += 2
    push(node)
  }

  /// Reads `\d \D \s \S \w \W \pN \p{Name} \P…`; nil, with nothing read, for another escape.
  mutating func classEscape() throws(RegexSyntaxError) -> ScalarSet? {
    guard let letter = peek(1) else { return nil }
    switch letter {
    case "d", "s", "w", "D", "S", "W":
      position += 2
      let isNegated = letter.properties.isUppercase
      let name = isNegated ? Unicode.Scalar(letter.value | 0x20) ?? letter : letter
      return NamedClasses.perl(name).map { folded($0, negated: isNegated) }
    case "p", "P": return try unicodeClass(negated: letter == "P")
    default: return nil
    }
  }

  /// Folds before it negates: `(?i)\W` is what `(?i)\w` is not.
  func folded(_ set: ScalarSet, negated: Bool) -> ScalarSet {
    let folded = flags.foldsCase ? set.caseFolded : set
    return negated ? folded.complement : folded
  }

  private mutating func unicodeClass(negated: Bool) throws(RegexSyntaxError) -> ScalarSet {
    let start = position
    var isNegated = negated
    position += 2
    var name = String.UnicodeScalarView()
    guard let first = current else { throw error("\\p without a name", at: start) }
    position += 1
    if first == "{" {
      if current == "^" {
        isNegated.toggle()
        position += 1
      }
      while let scalar = current, scalar != "}" {
        name.append(scalar)
        position += 1
      }
      guard current == "}" else { throw error("missing }", at: start) }
      position += 1
    } else {
      name.append(first)
    }
    guard let set = UnicodeClasses.named(String(name)) else {
      throw error("unknown Unicode class \(String(name))", at: start)
    }
    return folded(set, negated: isNegated)
  }

  /// Reads an escape that stands for one character.
  mutating func scalarEscape() throws(RegexSyntaxError) -> Unicode.Scalar {
    let start = position
    guard let letter = peek(1) else { throw error("\\ at the end") }
    position += 2
    switch letter {
    case "a": return "\u{07}"
    case "f": return "\u{0C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "v": return "\u{0B}"
    case "x": return try hexadecimal(start)
    case "0"..."7":
      // A single digit other than 0 would be a back-reference.
      guard letter == "0" || current.map({ "0"..."7" ~= $0 }) == true else {
        throw error("back-references are not supported: they can not be matched in linear time", at: start)
      }
      var value = letter.value - 0x30
      var digits = 1
      while digits < 3, let digit = current, "0"..."7" ~= digit {
        value = value * 8 + digit.value - 0x30
        digits += 1
        position += 1
      }
      return try scalar(value, start)
    default:
      guard letter.isASCII, !(letter.properties.isAlphabetic || "0"..."9" ~= letter) else {
        throw error("unknown escape \\\(letter)", at: start)
      }
      return letter
    }
  }

  private mutating func hexadecimal(_ start: Int) throws(RegexSyntaxError) -> Unicode.Scalar {
    var value: UInt32 = 0
    var digits = 0
    let isBraced = current == "{"
    if isBraced { position += 1 }
    while isBraced || digits < 2, let digit = current.flatMap(RegexParser.hexadecimalValue) {
      value = value * 16 + digit
      digits += 1
      position += 1
      guard value <= ScalarSet.maximum else { throw error("character over 10FFFF", at: start) }
    }
    if isBraced {
      guard digits > 0, current == "}" else { throw error("invalid \\x escape", at: start) }
      position += 1
    } else if digits < 2 {
      throw error("invalid \\x escape", at: start)
    }
    return try scalar(value, start)
  }

  private func scalar(_ value: UInt32, _ start: Int) throws(RegexSyntaxError) -> Unicode.Scalar {
    guard let scalar = Unicode.Scalar(value) else { throw error("a surrogate is no character", at: start) }
    return scalar
  }

  private static func hexadecimalValue(_ scalar: Unicode.Scalar) -> UInt32? {
    scalar.isASCII ? Character(scalar).hexDigitValue.map { UInt32($0) } : nil
  }
}
