/// A nondeterministic automaton over bytes after Thompson: every state has at most two ways out.
struct NFA {
  enum State {
    /// Reads a byte of `low...high` and goes to `next`.
    case bytes(low: UInt8, high: UInt8, next: UInt32)
    case split(UInt32, UInt32)
    /// Goes to `next` where the assertion holds.
    case assertion(Assertion, next: UInt32)
    /// Pattern `id` matches if the text ends here.
    case match(id: UInt32)
    case fail
  }

  private(set) var states: [State] = []
  private(set) var start: UInt32 = 0
  /// For each state the pattern it was made for.
  private(set) var patterns: [UInt32] = []
  /// Whether a text in which the state is active matches its pattern, whatever follows.
  private(set) var isDecided: [Bool] = []
  private let maximumStates: Int
  /// The pattern that is being compiled.
  private var pattern: UInt32 = 0

  private init(maximumStates: Int) { self.maximumStates = maximumStates }

  mutating func add(_ state: State) throws(DFALimits.Exceeded) -> UInt32 {
    guard states.count < maximumStates else { throw .instructions(maximumStates) }
    states.append(state)
    patterns.append(pattern)
    isDecided.append(false)
    return UInt32(states.count - 1)
  }

  /// Compiles patterns side by side; pattern `i` matches with id `i`.
  init(_ patterns: [Regex], matching kind: MatchKind, limits: DFALimits) throws(DFALimits.Exceeded) {
    self.init(maximumStates: limits.maximumInstructions)
    var starts: [UInt32] = []
    for (id, pattern) in patterns.enumerated() {
      self.pattern = UInt32(id)
      let match = try add(.match(id: UInt32(id)))
      var next = match
      if kind == .partial {
        next = try anyBytes(match)
        for state in Int(match)..<states.count { isDecided[state] = true }
      }
      var first = try compile(pattern.root, next)
      if kind == .partial { first = try anyBytes(first) }
      starts.append(first)
    }
    start = try alternatives(starts)
  }

  private mutating func anyBytes(_ next: UInt32) throws(DFALimits.Exceeded) -> UInt32 {
    let split = try add(.fail)
    states[Int(split)] = .split(try add(.bytes(low: 0, high: 0xFF, next: split)), next)
    return split
  }

  private mutating func alternatives(_ starts: [UInt32]) throws(DFALimits.Exceeded) -> UInt32 {
    guard var result = starts.last else { return try add(.fail) }
    for start in starts.dropLast().reversed() { result = try add(.split(start, result)) }
    return result
  }

  /// Adds the states that match `node` and go on to `next`; gives the first.
  private mutating func compile(_ node: RegexNode, _ next: UInt32) throws(DFALimits.Exceeded) -> UInt32 {
    switch node {
    case .empty: return next
    case .anyByte: return try add(.bytes(low: 0, high: 0xFF, next: next))
    case .assertion(let assertion): return try add(.assertion(assertion, next: next))
    case .scalar(let set): return try compile(set, next)
    case .concatenation(let parts):
      var next = next
      for part in parts.reversed() { next = try compile(part, next) }
      return next
    case .alternation(let parts):
      var starts: [UInt32] = []
      for part in parts { starts.append(try compile(part, next)) }
      return try alternatives(starts)
    case .repetition(let operand, let minimum, let maximum):
      return try compileRepetition(of: operand, minimum, maximum, next)
    case .lazy(let node), .group(_, let node): return try compile(node, next)
    }
  }

  private mutating func compileRepetition(
    of operand: RegexNode, _ minimum: Int, _ maximum: Int?, _ next: UInt32
  ) throws(DFALimits.Exceeded) -> UInt32 {
    var result = next
    if let maximum {
      // x{0,2} is (x(x)?)?: each copy may be the last.
      for _ in minimum..<max(maximum, minimum) {
        result = try add(.split(try compile(operand, result), next))
      }
    } else {
      let split = try add(.fail)
      states[Int(split)] = .split(try compile(operand, split), next)
      result = split
    }
    for _ in 0..<minimum { result = try compile(operand, result) }
    return result
  }

  private mutating func compile(_ set: ScalarSet, _ next: UInt32) throws(DFALimits.Exceeded) -> UInt32 {
    if set.ranges.count == 1, set.ranges[0].upperBound < 0x80 {
      let range = set.ranges[0]
      return try add(.bytes(low: UInt8(range.lowerBound), high: UInt8(range.upperBound), next: next))
    }
    var tails: [Tail: UInt32] = [:]
    return try compile(UTF8Sequences.sequences(of: set)[...], depth: 0, next, &tails)
  }

  private struct Tail: Hashable {
    let range: ClosedRange<UInt8>
    let next: UInt32
  }

  /// Compiles sequences that have the first `depth` ranges in common; equal tails are shared.
  private mutating func compile(
    _ sequences: ArraySlice<UTF8Sequences.Sequence>, depth: Int, _ next: UInt32, _ tails: inout [Tail: UInt32]
  ) throws(DFALimits.Exceeded) -> UInt32 {
    var starts: [UInt32] = []
    var rest = sequences
    while let first = rest.first {
      let range = first[depth]
      let end = rest.firstIndex { $0[depth] != range } ?? rest.endIndex
      let isLast = first.count == depth + 1
      let following = isLast ? next : try compile(rest[..<end], depth: depth + 1, next, &tails)
      let tail = Tail(range: range, next: following)
      if let known = tails[tail] {
        starts.append(known)
      } else {
        let state = try add(.bytes(low: range.lowerBound, high: range.upperBound, next: following))
        tails[tail] = state
        starts.append(state)
      }
      rest = rest[end...]
    }
    return try alternatives(starts)
  }
}
