/// What patterns may cost. A deterministic automaton can be exponentially larger than its pattern (`(a|b)*a(a|b){20}`
/// has a million states), so patterns of strangers need bounds.
public struct DFALimits: Hashable, Sendable {
  /// States of the deterministic automaton, before it is minimized.
  public var maximumStates: Int
  /// States of the nondeterministic automaton that the patterns are compiled to first.
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

  /// The limit that was reached.
  enum Exceeded: Error {
    case states(Int)
    case instructions(Int)
    case setEntries(Int)
  }
}

/// Patterns that are valid but need a larger automaton than ``DFALimits`` allow.
public struct DFATooLargeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One pattern, or all of a set that was compiled together.
  public let patterns: [String]
  /// The limit, in words: `10000 states`.
  public let limit: String

  init(patterns: [String], _ exceeded: DFALimits.Exceeded) {
    self.patterns = patterns
    limit =
      switch exceeded {
      case .states(let count): "\(count) states"
      case .instructions(let count): "\(count) instructions"
      case .setEntries(let count): "\(count) set entries"
      }
  }

  public var description: String {
    let subject = patterns.first.map { "\"\($0)\"" } ?? ""
    let others = patterns.count > 1 ? " and \(patterns.count - 1) others" : ""
    return "too large: the automaton of \(subject)\(others) needs more than \(limit)"
  }
}

/// Which part of a text a pattern must match.
public enum MatchKind: Hashable, Sendable {
  /// The whole text.
  case full
  /// Any part of it, the empty one too.
  case partial
}
