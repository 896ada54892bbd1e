/// Reads RE2's syntax into a tree, by hand and with a stack of its own, so that depth costs no call stack.
struct RegexParser {
  let pattern: String
  let scalars: [Unicode.Scalar]
  var position = 0
  var flags = Flags()
  /// What is open: the pattern itself first, then each group that has not ended.
  var frames: [Frame] = [Frame(start: 0, flagsAfter: Flags())]
  var names: Set<String> = []
  /// How many capturing groups have begun.
  var groupCount = 0

  /// RE2 allows 1000; a tree of this depth is walked recursively, on stacks of half a megabyte too.
  static let maximumDepth = 200
  static let maximumRepeat = 1000

  struct Flags {
    var foldsCase = false
    var multipleLines = false
    var dotMatchesNewline = false
    var swapsLaziness = false
  }

  struct Frame {
    /// Where the group's parenthesis is.
    let start: Int
    /// The flags that hold after the group.
    let flagsAfter: Flags
    /// The number of a capturing group.
    var group: Int?
    var alternatives: [RegexNode] = []
    var items: [RegexNode] = []

    var node: RegexNode {
      let last = RegexParser.concatenation(items)
      let content = alternatives.isEmpty ? last : .alternation(alternatives + [last])
      return group.map { .group($0, content) } ?? content
    }
  }

  init(_ pattern: String) {
    self.pattern = pattern
    self.scalars = Array(pattern.unicodeScalars)
  }

  static func concatenation(_ items: [RegexNode]) -> RegexNode {
    switch items.count {
    case 0: .empty
    case 1: items[0]
    default: .concatenation(items)
    }
  }

  func error(_ message: String, at index: Int? = nil) -> RegexSyntaxError {
    let offset = scalars[..<(index ?? position)].reduce(0) { $0 + UTF8.width($1) }
    return RegexSyntaxError(pattern: pattern, offset: offset, message: message)
  }

  var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }
  func peek(_ distance: Int) -> Unicode.Scalar? {
    position + distance < scalars.count ? scalars[position + distance] : nil
  }

  mutating func push(_ node: RegexNode) { frames[frames.count - 1].items.append(node) }

  mutating func pushLiteral(_ scalar: Unicode.Scalar) {
    let set = ScalarSet(scalar.value...scalar.value)
    push(.scalar(flags.foldsCase ? set.caseFolded : set))
  }

  mutating func parse() throws(RegexSyntaxError) -> RegexNode {
    var previousWasRepetition = false
    while let scalar = current {
      let start = position
      var isRepetition = false
      switch scalar {
      case "(": try openGroup()
      case ")": try closeGroup()
      case "|":
        let last = frames.count - 1
        frames[last].alternatives.append(RegexParser.concatenation(frames[last].items))
        frames[last].items = []
        position += 1
      case "[": push(.scalar(try bracketClass()))
      case ".":
        position += 1
        push(.scalar(flags.dotMatchesNewline ? .all : ScalarSet(0x0A...0x0A).complement))
      case "^":
        position += 1
        push(.assertion(flags.multipleLines ? .beginLine : .beginText))
      case "$":
        position += 1
        push(.assertion(flags.multipleLines ? .endLine : .endText))
      case "\\": try escape()
      case "*", "+", "?", "{":
        if let bounds = try repetitionBounds() {
          guard !previousWasRepetition else {
            throw error("a repetition operator can not follow another", at: start)
          }
          try repeatLast(bounds, operatorAt: start)
          isRepetition = true
        } else {
          position += 1
          pushLiteral(scalar)
        }
      default:
        position += 1
        pushLiteral(scalar)
      }
      previousWasRepetition = isRepetition
    }
    guard frames.count == 1 else { throw error("missing )", at: frames[frames.count - 1].start) }
    return frames[0].node
  }
}
