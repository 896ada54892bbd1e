/// Many patterns, matched together where that is affordable: one automaton as long as it stays within the limits, else
/// the patterns are split into halves until each half fits.
public struct RegexSet: Sendable {
  /// One automaton and the place of its patterns among all: its pattern `i` is pattern `firstID + i` of the set.
  public struct Part: Sendable {
    public let dfa: DFA
    public let firstID: Int
  }

  public let parts: [Part]

  /// Throws for a pattern that is too large alone.
  public init(
    _ regexes: [Regex], matching kind: MatchKind = .full, limits: DFALimits = .standard
  ) throws(DFATooLargeError) {
    parts = try RegexSet.parts(regexes[...], kind, limits)
  }

  private static func parts(
    _ regexes: ArraySlice<Regex>, _ kind: MatchKind, _ limits: DFALimits
  ) throws(DFATooLargeError) -> [Part] {
    do throws(DFATooLargeError) {
      return [Part(dfa: try DFA(set: Array(regexes), matching: kind, limits: limits), firstID: regexes.startIndex)]
    } catch {
      guard regexes.count > 1 else { throw error }
      let middle = regexes.startIndex + regexes.count / 2
      return try parts(regexes[..<middle], kind, limits) + parts(regexes[middle...], kind, limits)
    }
  }

  /// The ids, ascending, of the patterns that match: indices into the array the set was made of.
  public func matches(_ bytes: UnsafeRawBufferPointer) -> [Int] {
    parts.flatMap { part in
      part.dfa.matches(part.dfa.step(part.dfa.start, bytes)).map { part.firstID + Int($0) }
    }
  }

  /// As ``matches(_:)-(UnsafeRawBufferPointer)``, for a text's UTF-8.
  public func matches(_ text: String) -> [Int] {
    var text = text
    return text.withUTF8 { matches(UnsafeRawBufferPointer($0)) }
  }
}
