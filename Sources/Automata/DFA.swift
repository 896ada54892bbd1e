/// A deterministic automaton over bytes for one pattern or for several at once. It is immutable and minimal; matching
/// takes one table lookup per byte and never allocates.
///
///     let dfa = try DFA(Regex(parsing: "/api/.*"))
///     dfa.matchesFully("/api/users")  // true
///
/// A text may come in pieces:
///
///     var state = dfa.start
///     for piece in pieces { state = dfa.step(state, piece) }
///     dfa.isAccepting(state)
public struct DFA: Sendable {
  /// A place in the automaton. Only the automaton that gave it understands it.
  public struct State: Hashable, Sendable {
    /// The offset of the state's row in the table.
    let row: UInt32
  }

  /// Where matching begins.
  public let start: State
  /// How many patterns the automaton was made of; their ids are 0 to `patternCount - 1`.
  public let patternCount: Int
  /// The different sets of patterns that can match together, each sorted; the first is empty.
  public let acceptSets: [[UInt32]]

  let classes: ByteClasses
  /// A row holds `1 << rowShift` targets, one for each class and some unused, each the offset of a row. One of the two
  /// tables is empty: the narrow one serves as long as it can, as it needs half the cache.
  let rowShift: UInt32
  let narrow: [UInt16]
  let wide: [UInt32]
  /// For each state the index of its set in `acceptSets`.
  let accepts: [UInt32]

  /// Compiles one pattern.
  public init(
    _ regex: Regex, matching kind: MatchKind = .full, limits: DFALimits = .standard
  ) throws(DFATooLargeError) {
    try self.init(set: [regex], matching: kind, limits: limits)
  }

  /// Compiles several patterns into one automaton that says which of them match; the pattern at index i gets the id i.
  public init(
    set regexes: [Regex], matching kind: MatchKind = .full, limits: DFALimits = .standard
  ) throws(DFATooLargeError) {
    do throws(DFALimits.Exceeded) {
      let nfa = try NFA(regexes, matching: kind, limits: limits)
      self.init(try SubsetConstruction.run(nfa, limits: limits), patternCount: regexes.count)
    } catch {
      throw DFATooLargeError(patterns: regexes.map(\.pattern), error)
    }
  }

  init(_ table: TransitionTable, patternCount: Int) {
    let table = table.minimized()
    let width = table.classes.count
    let shift = width == 1 ? 0 : UInt32(Int.bitWidth - (width - 1).leadingZeroBitCount)
    var rows = [UInt32](repeating: 0, count: table.stateCount << Int(shift))
    for state in 0..<table.stateCount {
      for column in 0..<width {
        rows[state << Int(shift) + column] = table.transitions[state * width + column] << shift
      }
    }
    let isNarrow = rows.count <= Int(UInt16.max) + 1
    narrow = isNarrow ? rows.map { UInt16($0) } : []
    wide = isNarrow ? [] : rows
    rowShift = shift
    classes = table.classes
    accepts = table.accepts
    acceptSets = table.acceptSets
    start = State(row: table.start << shift)
    self.patternCount = patternCount
  }

  /// How many states the automaton has, the dead one included.
  public var stateCount: Int { accepts.count }

  /// What the automaton occupies, in bytes.
  public var tableBytes: Int { narrow.count * 2 + wide.count * 4 + accepts.count * 4 + 256 }
}
