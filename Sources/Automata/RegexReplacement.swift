/// Replaces every match of an expression in a text, as RE2's `GlobalReplace` does: from the left, each match as the
/// expression prefers it, none inside of another.
///
///     let replacement = try RegexReplacement(of: Regex(parsing: "^/service/([^/]+)(/.*)$"), with: "\\2/instance/\\1")
///     replacement.applied(to: "/service/foo/v1/api")  // "/v1/api/instance/foo"
public struct RegexReplacement: Sendable {
  private enum Piece: Sendable {
    case text([UInt8])
    case group(Int)
  }

  private let program: CaptureProgram
  private let pieces: [Piece]

  /// `substitution` may say `\0` for the whole match, `\1` to `\9` for groups, and `\\` for a backslash.
  public init(of regex: Regex, with substitution: String) throws(RegexReplacementError) {
    guard let program = CaptureProgram(regex) else { throw .tooLarge(pattern: regex.pattern) }
    self.program = program
    var pieces: [Piece] = []
    var literal: [UInt8] = []
    var bytes = substitution.utf8[...]
    while let byte = bytes.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        literal.append(byte)
        continue
      }
      switch bytes.popFirst() {
      case UInt8(ascii: "\\"): literal.append(UInt8(ascii: "\\"))
      case .some(let digit) where 48...57 ~= digit:
        let group = Int(digit - 48)
        guard group <= program.groupCount else {
          throw .noSuchGroup(group, pattern: regex.pattern, groups: program.groupCount)
        }
        if !literal.isEmpty { pieces.append(.text(literal)) }
        literal = []
        pieces.append(.group(group))
      default: throw .danglingBackslash(substitution)
      }
    }
    if !literal.isEmpty { pieces.append(.text(literal)) }
    self.pieces = pieces
  }

  /// The text with every match replaced.
  public func applied(to text: UnsafeRawBufferPointer) -> [UInt8] {
    var machine = CaptureMachine(program)
    var output: [UInt8] = []
    var place = 0
    var lastEnd: Int?
    while place <= text.count, let match = machine.firstMatch(in: text, from: place) {
      output += text[place..<match[0]]
      if match[0] == match[1], match[0] == lastEnd {
        // An empty match just behind another one is none.
        guard match[0] < text.count else { return output }
        let width = RegexReplacement.width(of: text[match[0]...])
        output += text[match[0]..<match[0] + width]
        place = match[0] + width
        continue
      }
      for piece in pieces {
        switch piece {
        case .text(let bytes): output += bytes
        case .group(let number) where match[2 * number] >= 0 && match[2 * number + 1] >= 0:
          output += text[match[2 * number]..<match[2 * number + 1]]
        case .group: continue
        }
      }
      place = match[1]
      lastEnd = place
    }
    if place < text.count { output += text[place...] }
    return output
  }

  /// As ``applied(to:)-(UnsafeRawBufferPointer)``, for a text's UTF-8.
  public func applied(to text: String) -> String {
    var text = text
    return text.withUTF8 { String(decoding: applied(to: UnsafeRawBufferPointer($0)), as: UTF8.self) }
  }

  /// How many bytes the first character has; one where it is no UTF-8.
  private static func width(of text: Slice<UnsafeRawBufferPointer>) -> Int {
    guard let first = text.first else { return 0 }
    let width = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    let rest = text.dropFirst().prefix(width - 1)
    return rest.count == width - 1 && rest.allSatisfy { $0 & 0xC0 == 0x80 } ? width : 1
  }
}

/// Why an expression and a substitution do not go together.
public enum RegexReplacementError: Error, Hashable, Sendable, CustomStringConvertible {
  case tooLarge(pattern: String)
  case noSuchGroup(Int, pattern: String, groups: Int)
  case danglingBackslash(String)

  public var description: String {
    switch self {
    case .tooLarge(let pattern): "\"\(pattern)\" is too large to replace what it matches"
    case .noSuchGroup(let group, let pattern, let groups):
      "\\\(group) is no group of \"\(pattern)\", which has \(groups)"
    case .danglingBackslash(let text): "backslash in \"\(text)\" is followed by neither a digit nor a backslash"
    }
  }
}
