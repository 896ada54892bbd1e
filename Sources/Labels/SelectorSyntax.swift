/// Why a selector's text can not be read.
public struct SelectorSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
}

extension LabelSelector {
  /// Parses kubectl's syntax: `a=b`, `a==b`, `a!=b`, `a in (x, y)`, `a notin (x)`, `a`, `!a`, joined by commas.
  public init(parsing text: String) throws(SelectorSyntaxError) {
    var requirements: [LabelRequirement] = []
    for part in LabelSelector.split(text) {
      requirements.append(try LabelRequirement(parsing: part))
    }
    self.init(requirements)
  }

  /// Splits at the commas that are outside of parentheses.
  private static func split(_ text: String) -> [String] {
    var parts: [String] = []
    var part = ""
    var depth = 0
    for character in text {
      if character == "(" { depth += 1 }
      if character == ")" { depth -= 1 }
      if character == ",", depth == 0 {
        parts.append(part)
        part = ""
      } else {
        part.append(character)
      }
    }
    if !(parts.isEmpty && part.allSatisfy(\.isWhitespace)) { parts.append(part) }
    return parts
  }
}

extension LabelRequirement {
  fileprivate init(parsing text: String) throws(SelectorSyntaxError) {
    func key(_ part: some StringProtocol) throws(SelectorSyntaxError) -> String {
      let key = part.trimmed
      guard !key.isEmpty, !key.contains(where: { $0.isWhitespace || "=!,()".contains($0) }) else {
        throw SelectorSyntaxError(description: "\"\(text.trimmed)\" is not a label requirement")
      }
      return key
    }
    if let operatorRange = text.firstRange(of: "!=") {
      self.init(
        key: try key(text[..<operatorRange.lowerBound]),
        operation: .notIn([text[operatorRange.upperBound...].trimmed]))
    } else if let operatorRange = text.firstRange(of: "==") ?? text.firstRange(of: "=") {
      self.init(
        key: try key(text[..<operatorRange.lowerBound]), operation: .in([text[operatorRange.upperBound...].trimmed]))
    } else if let open = text.firstIndex(of: "("), text.trimmed.hasSuffix(")") {
      let words = text[..<open].split(whereSeparator: \.isWhitespace)
      let inside = text[text.index(after: open)...].trimmed.dropLast()
      let values = Set(inside.split(separator: ",", omittingEmptySubsequences: false).map(\.trimmed))
      guard words.count == 2, words[1] == "in" || words[1] == "notin" else {
        throw SelectorSyntaxError(description: "\"\(text.trimmed)\" is not a label requirement")
      }
      self.init(key: try key(words[0]), operation: words[1] == "in" ? .in(values) : .notIn(values))
    } else if text.trimmed.hasPrefix("!") {
      self.init(key: try key(text.trimmed.dropFirst()), operation: .doesNotExist)
    } else {
      self.init(key: try key(text), operation: .exists)
    }
  }
}

extension StringProtocol {
  fileprivate var trimmed: String {
    let start = firstIndex { !$0.isWhitespace } ?? endIndex
    let end = lastIndex { !$0.isWhitespace }.map(index(after:)) ?? start
    return String(self[start..<Swift.max(start, end)])
  }
}
