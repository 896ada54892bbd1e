extension RegexParser {
  struct Bounds {
    var minimum: Int
    var maximum: Int?
    var isLazy = false
  }

  /// Reads `* + ? {n} {n,} {n,m}` and a `?` behind it; nil, with nothing read, when a brace is only a literal.
  mutating func repetitionBounds() throws(RegexSyntaxError) -> Bounds? {
    let start = position
    var bounds: Bounds
    switch current {
    case "*": bounds = Bounds(minimum: 0, maximum: nil)
    case "+": bounds = Bounds(minimum: 1, maximum: nil)
    case "?": bounds = Bounds(minimum: 0, maximum: 1)
    default:
      guard let braces = bracedBounds() else {
        position = start
        return nil
      }
      let maximum = braces.maximum ?? braces.minimum
      guard maximum <= RegexParser.maximumRepeat, braces.minimum <= RegexParser.maximumRepeat else {
        throw error("repetition count over \(RegexParser.maximumRepeat)", at: start)
      }
      guard braces.minimum <= maximum else { throw error("repetition bounds in the wrong order", at: start) }
      bounds = braces
    }
    position += 1
    bounds.isLazy = flags.swapsLaziness
    if current == "?" {
      bounds.isLazy.toggle()
      position += 1
    }
    return bounds
  }

  /// Reads `{n`, `{n,` or `{n,m` and stops at the closing brace.
  private mutating func bracedBounds() -> Bounds? {
    position += 1
    guard let minimum = number() else { return nil }
    if current == "}" { return Bounds(minimum: minimum, maximum: minimum) }
    guard current == "," else { return nil }
    position += 1
    if current == "}" { return Bounds(minimum: minimum, maximum: nil) }
    guard let maximum = number(), current == "}" else { return nil }
    return Bounds(minimum: minimum, maximum: maximum)
  }

  /// Digits without a leading zero. Numbers of nine digits and more are no numbers, as in RE2.
  private mutating func number() -> Int? {
    var digits = 0
    var value = 0
    let leadingZero = current == "0"
    while let scalar = current, "0"..."9" ~= scalar {
      guard value < 100_000_000 else { return nil }
      value = value * 10 + Int(scalar.value - 0x30)
      digits += 1
      position += 1
    }
    return digits == 0 || (leadingZero && digits > 1) ? nil : value
  }

  mutating func repeatLast(_ bounds: Bounds, operatorAt start: Int) throws(RegexSyntaxError) {
    let frame = frames.count - 1
    guard let operand = frames[frame].items.popLast() else {
      throw error("nothing to repeat", at: start)
    }
    let node = RegexNode.repetition(operand, minimum: bounds.minimum, maximum: bounds.maximum)
    if max(bounds.minimum, bounds.maximum ?? 0) > 1 {
      guard node.fits(repeats: RegexParser.maximumRepeat) else {
        throw error("nested repetitions amount to more than \(RegexParser.maximumRepeat)", at: start)
      }
    }
    push(bounds.isLazy ? .lazy(node) : node)
  }
}

extension RegexNode {
  /// Whether no path through nested counted repetitions multiplies to more than `budget`.
  func fits(repeats budget: Int) -> Bool {
    switch self {
    case .empty, .scalar, .anyByte, .assertion: true
    case .lazy(let node), .group(_, let node): node.fits(repeats: budget)
    case .concatenation(let parts), .alternation(let parts): parts.allSatisfy { $0.fits(repeats: budget) }
    case .repetition(let operand, let minimum, let maximum):
      // `*`, `+` and `?` do not multiply.
      switch maximum ?? minimum {
      case 0, 1: operand.fits(repeats: budget)
      case let count: budget >= count && operand.fits(repeats: budget / count)
      }
    }
  }
}
