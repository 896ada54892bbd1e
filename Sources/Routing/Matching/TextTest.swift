import Automata
import JSON

/// A ``TextMatcher``, ready to be asked.
enum TextTest: Sendable {
  case exact([UInt8])
  case prefix([UInt8])
  case suffix([UInt8])
  case contains([UInt8])
  /// The texts are in lower case.
  case folded(Folded, [UInt8])
  case regex(DFA)

  enum Folded: Sendable {
    case exact, prefix, suffix, contains
  }

  init(_ matcher: TextMatcher) throws(FieldError) {
    let folds = matcher.ignoresCase
    func lowercased(_ text: String) -> [UInt8] { text.utf8.map(\.asciiLowercased) }
    switch matcher.pattern {
    case .exact(let text): self = folds ? .folded(.exact, lowercased(text)) : .exact(Array(text.utf8))
    case .prefix(let text): self = folds ? .folded(.prefix, lowercased(text)) : .prefix(Array(text.utf8))
    case .suffix(let text): self = folds ? .folded(.suffix, lowercased(text)) : .suffix(Array(text.utf8))
    case .contains(let text): self = folds ? .folded(.contains, lowercased(text)) : .contains(Array(text.utf8))
    case .regex(let regex): self = .regex(try regex.automaton())
    }
  }

  func matches(_ text: UnsafeRawBufferPointer) -> Bool {
    switch self {
    case .exact(let literal): text.elementsEqual(literal)
    case .prefix(let literal): text.starts(with: literal)
    case .suffix(let literal): text.count >= literal.count && text.suffix(literal.count).elementsEqual(literal)
    case .contains(let literal): TextTest.contains(text, literal) { $0 == $1 }
    case .regex(let dfa): dfa.matchesFully(text)
    case .folded(let kind, let literal):
      switch kind {
      case .exact: text.count == literal.count && text.elementsEqual(literal, by: TextTest.isSame)
      case .prefix: text.starts(with: literal, by: TextTest.isSame)
      case .suffix:
        text.count >= literal.count && text.suffix(literal.count).elementsEqual(literal, by: TextTest.isSame)
      case .contains: TextTest.contains(text, literal, TextTest.isSame)
      }
    }
  }

  private static func isSame(_ byte: UInt8, _ lowercased: UInt8) -> Bool { byte.asciiLowercased == lowercased }

  private static func contains(
    _ text: UnsafeRawBufferPointer, _ literal: [UInt8], _ isSame: (UInt8, UInt8) -> Bool
  ) -> Bool {
    guard text.count >= literal.count else { return false }
    for start in 0...(text.count - literal.count)
    where text[start...].starts(with: literal, by: isSame) { return true }
    return false
  }
}

/// A ``HeaderMatcher``, ready to be asked.
struct HeaderTest: Sendable {
  private enum Kind: Sendable {
    case present(Bool)
    case text(TextTest)
    case range(Range<Int64>)
  }

  private let name: [UInt8]
  private let kind: Kind
  private let inverts: Bool
  private let treatsMissingAsEmpty: Bool
  private let isJoined: Bool

  init(_ matcher: HeaderMatcher) throws(FieldError) {
    name = Array(matcher.name.utf8)
    isJoined = JoinedHeaders.names.contains(matcher.name)
    inverts = matcher.inverts
    treatsMissingAsEmpty = matcher.treatsMissingAsEmpty
    kind =
      switch matcher.test {
      case .present(let isPresent): .present(isPresent)
      case .text(let text): .text(try TextTest(text))
      case .range(let range): .range(range)
      }
  }

  func holds(for request: RequestView) -> Bool {
    var isPresent = false
    var matches = false
    request.forEachValue(of: name, isJoined: isJoined) { value in
      isPresent = true
      matches = matches || self.matches(value)
    }
    if case .present(let wanted) = kind { return ((isPresent || treatsMissingAsEmpty) == wanted) != inverts }
    guard isPresent || treatsMissingAsEmpty else { return false }
    return (isPresent ? matches : self.matches(.empty)) != inverts
  }

  private func matches(_ value: UnsafeRawBufferPointer) -> Bool {
    switch kind {
    case .present: true
    case .text(let test): test.matches(value)
    case .range(let range): Int64(decimal: value).map(range.contains) ?? false
    }
  }
}

extension Int64 {
  /// Decimal digits behind an optional sign, with white space around them; nil for anything else.
  init?(decimal text: UnsafeRawBufferPointer) {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    var start = 0
    var end = text.count
    while start < end, isSpace(text[start]) { start += 1 }
    while end > start, isSpace(text[end - 1]) { end -= 1 }
    guard start < end, end - start <= 40 else { return nil }
    self.init(String(decoding: text[start..<end], as: UTF8.self))
  }
}

/// A ``QueryParameterMatcher``, ready to be asked.
struct QueryTest: Sendable {
  private enum Kind: Sendable {
    case present(Bool)
    case text(TextTest)
  }

  private let name: [UInt8]
  private let kind: Kind

  init(_ matcher: QueryParameterMatcher) throws(FieldError) {
    name = Array(matcher.name.utf8)
    kind =
      switch matcher.test {
      case .present(let isPresent): .present(isPresent)
      case .text(let text): .text(try TextTest(text))
      }
  }

  func holds(for query: UnsafeRawBufferPointer?) -> Bool {
    let value = query.flatMap { $0.parameter(name) }
    switch kind {
    case .present(let isPresent): return (value != nil) == isPresent
    case .text(let test): return value.map(test.matches) ?? false
    }
  }
}
