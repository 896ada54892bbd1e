import JSON

/// A part of a text with Envoy's `%…%` commands in it; `%%` is a percent sign.
public enum TemplatePiece<Variable: Hashable & Sendable>: Hashable, Sendable {
  case text(String)
  case variable(Variable)

  /// Reads the text at `cursor`.
  ///
  /// - Parameter variable: What a command stands for; nil for one that is not supported.
  static func pieces(
    _ cursor: JSONCursor, _ variable: (TemplateCommand) -> Variable?
  ) throws(FieldError) -> [TemplatePiece] {
    var pieces: [TemplatePiece] = []
    var literal = ""
    var rest = try cursor.string()[...]
    while let percent = rest.firstIndex(of: "%") {
      literal += rest[..<percent]
      rest = rest[rest.index(after: percent)...]
      if rest.first == "%" {
        literal += "%"
        rest = rest.dropFirst()
        continue
      }
      guard let end = TemplateCommand.end(of: rest) else { throw cursor.error("% without an end") }
      guard let known = TemplateCommand(rest[..<end]).flatMap(variable) else {
        throw cursor.error("variable %\(rest[..<end])% is not supported")
      }
      if !literal.isEmpty { pieces.append(.text(literal)) }
      literal = ""
      pieces.append(.variable(known))
      rest = rest[rest.index(after: end)...]
    }
    literal += rest
    if !literal.isEmpty { pieces.append(.text(literal)) }
    return pieces
  }
}

/// What stands between two percent signs: `WORD`, `WORD(ARGUMENT)`, `WORD(ARGUMENT):LENGTH`.
struct TemplateCommand {
  let word: Substring
  /// nil without parentheses.
  let argument: Substring?
  let length: Int?

  init?(_ text: Substring) {
    word = text.prefix { $0.isASCII && ($0.isUppercase || $0.isNumber || $0 == "_") }
    var rest = text[word.endIndex...]
    if rest.first == "(" {
      guard let closing = rest.firstIndex(of: ")") else { return nil }
      argument = rest[..<closing].dropFirst()
      rest = rest[rest.index(after: closing)...]
    } else {
      argument = nil
    }
    if rest.isEmpty {
      length = nil
    } else {
      guard rest.first == ":", let length = Int(rest.dropFirst()), length >= 0 else { return nil }
      self.length = length
    }
  }

  /// The word alone; nil where there is more.
  var plain: Substring? { argument == nil && length == nil ? word : nil }

  /// The percent sign that ends a command: one behind its parentheses, if it has any.
  static func end(of text: Substring) -> Substring.Index? {
    let word = text.prefix { $0.isASCII && ($0.isUppercase || $0.isNumber || $0 == "_") }
    guard word.endIndex < text.endIndex, text[word.endIndex] == "(" else { return text.firstIndex(of: "%") }
    guard let closing = text.firstIndex(of: ")") else { return nil }
    return text[closing...].firstIndex(of: "%")
  }
}
