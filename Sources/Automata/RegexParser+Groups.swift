extension RegexParser {
  /// Reads `(`, `(?:`, `(?P<name>`, `(?<name>`, `(?flags:`, or all of `(?flags)`.
  mutating func openGroup() throws(RegexSyntaxError) {
    let start = position
    let outside = flags
    var captures = true
    position += 1
    if current == "?" {
      position += 1
      if current == "P" && peek(1) == "<" {
        position += 2
        try groupName(start)
      } else if current == "<" && peek(1) != "=" && peek(1) != "!" {
        position += 1
        try groupName(start)
      } else if try flagGroup(start) {
        return
      } else {
        captures = false
      }
    }
    guard frames.count < RegexParser.maximumDepth else {
      throw error("groups nested deeper than \(RegexParser.maximumDepth)", at: start)
    }
    if captures { groupCount += 1 }
    frames.append(Frame(start: start, flagsAfter: outside, group: captures ? groupCount : nil))
  }

  mutating func closeGroup() throws(RegexSyntaxError) {
    guard frames.count > 1, let frame = frames.popLast() else { throw error("unexpected )") }
    flags = frame.flagsAfter
    position += 1
    push(frame.node)
  }

  private mutating func groupName(_ start: Int) throws(RegexSyntaxError) {
    var name = String.UnicodeScalarView()
    while let scalar = current, scalar != ">" {
      guard scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil else {
        throw error("invalid group name", at: start)
      }
      name.append(scalar)
      position += 1
    }
    guard current == ">", !name.isEmpty else { throw error("invalid group name", at: start) }
    position += 1
    guard names.insert(String(name)).inserted else {
      throw error("two groups are named \(String(name))", at: start)
    }
  }

  /// Reads flags up to `:`, which opens a group, or up to `)`, which does not; true for the latter.
  private mutating func flagGroup(_ start: Int) throws(RegexSyntaxError) -> Bool {
    var isNegated = false
    var sawFlag = false
    while let scalar = current {
      position += 1
      switch scalar {
      case "i": flags.foldsCase = !isNegated
      case "m": flags.multipleLines = !isNegated
      case "s": flags.dotMatchesNewline = !isNegated
      case "U": flags.swapsLaziness = !isNegated
      case "-" where !isNegated:
        isNegated = true
        sawFlag = false
        continue
      case ":", ")":
        guard sawFlag || !isNegated else { throw error("no flag behind -", at: start) }
        return scalar == ")"
      case "=", "!", "<":
        throw error("look-around is not supported: it can not be matched in linear time", at: start)
      default: throw error("unknown group or flag (?\(scalar)", at: start)
      }
      sawFlag = true
    }
    throw error("missing )", at: start)
  }
}
