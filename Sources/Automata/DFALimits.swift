/// What a pattern may cost. A deterministic automaton can be exponentially larger than its pattern (`(a|b)*a(a|b){20}`
/// has a million states), so patterns of strangers need bounds.
public struct DFALimits: Hashable, Sendable {
  /// States of the deterministic automaton, before it is minimized.
  public var maximumStates: Int
  /// States of the nondeterministic automaton that the pattern is compiled to first.
  public var maximumInstructions: Int
  /// Entries of all sets of nondeterministic states together, four bytes each, while the automaton is built.
  public var maximumSetEntries: Int

  public init(
    maximumStates: Int = 10_000, maximumInstructions: Int = 100_000, maximumSetEntries: Int = 4_000_000
  ) {
    self.maximumStates = maximumStates
    self.maximumInstructions = maximumInstructions
    self.maximumSetEntries = maximumSetEntries
  }

  public static let standard = DFALimits()
}

/// Why there is no automaton for a regex.
public enum DFAError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Limit: Hashable, Sendable {
    case states(Int)
    case instructions(Int)
    case setEntries(Int)
  }

  /// One of ``DFALimits`` was reached. The caller knows for which patterns.
  case tooLarge(limit: Limit)

  public var description: String {
    switch self {
    case .tooLarge(.states(let count)): "the regular expression needs more than \(count) automaton states"
    case .tooLarge(.instructions(let count)): "the regular expression needs more than \(count) instructions"
    case .tooLarge(.setEntries(let count)): "the regular expression needs more than \(count) set entries to compile"
    }
  }
}

/// Which part of a text a pattern must match.
public enum MatchKind: Hashable, Sendable {
  /// The whole text.
  case full
  /// Any part of it, the empty one too.
  case partial
}
