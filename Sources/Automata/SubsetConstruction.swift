/// A deterministic automaton as it comes out of construction: complete, not minimal.
struct TransitionTable {
  var classes: ByteClasses
  /// Row of `classes.count` targets for each state.
  var transitions: [UInt32]
  /// For each state the index of its set in `acceptSets`.
  var accepts: [UInt32]
  /// The sorted pattern ids that match at the end of the text; the first set is empty.
  var acceptSets: [[UInt32]]
  var start: UInt32

  var stateCount: Int { accepts.count }
}

/// What the byte before or behind a place is to the assertions.
enum Neighbour: UInt32 {
  /// Before the first byte, or behind the last.
  case boundary
  case newline
  case word
  case other

  init(_ byte: UInt8) {
    switch byte {
    case 0x0A: self = .newline
    case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: self = .word
    default: self = .other
    }
  }
}

extension Assertion {
  func holds(between before: Neighbour, and behind: Neighbour) -> Bool {
    switch self {
    case .beginText: before == .boundary
    case .endText: behind == .boundary
    case .beginLine: before == .boundary || before == .newline
    case .endLine: behind == .boundary || behind == .newline
    case .wordBoundary: (before == .word) != (behind == .word)
    case .notWordBoundary: (before == .word) == (behind == .word)
    }
  }
}

/// Makes an NFA deterministic. A state is the set of NFA states that may be active, together with what the byte before
/// was if an assertion waits among them: whether it holds is known only with the next byte.
final class SubsetConstruction {
  private let nfa: NFA
  private let limits: DFALimits
  private let classes: ByteClasses
  private let classNeighbours: [Neighbour]
  private var closures: EpsilonClosures
  private var states: StateSets
  private var acceptSets: [[UInt32]] = [[]]
  private var acceptIndices: [[UInt32]: UInt32] = [[]: 0]
  /// The states that lists of targets have led to: the closures of most lists are far longer than the lists.
  private var known: [StateSets.Key: UInt32] = [:]
  private let hasDecided: Bool

  static func run(_ nfa: NFA, limits: DFALimits) throws(DFALimits.Exceeded) -> TransitionTable {
    try SubsetConstruction(nfa, limits).run()
  }

  private init(_ nfa: NFA, _ limits: DFALimits) {
    self.nfa = nfa
    self.limits = limits
    classes = ByteClasses(of: nfa)
    classNeighbours = classes.representatives.map { Neighbour($0) }
    closures = EpsilonClosures(nfa)
    states = StateSets(limits)
    hasDecided = nfa.isDecided.contains(true)
  }

  private func run() throws(DFALimits.Exceeded) -> TransitionTable {
    var transitions: [UInt32] = []
    var accepts: [UInt32] = []
    let start = try state(after: [nfa.start], before: .boundary)
    var current = 0
    while current < states.count {
      let (items, before) = states[current]
      accepts.append(acceptIndex(of: closures.resolving(items, before: before, behind: .boundary)))
      transitions += try row(items, before)
      current += 1
    }
    return TransitionTable(
      classes: classes, transitions: transitions, accepts: accepts, acceptSets: acceptSets, start: start)
  }

  private func row(_ items: [UInt32], _ before: Neighbour) throws(DFALimits.Exceeded) -> [UInt32] {
    var targets = [[UInt32]](repeating: [], count: classes.count)
    if closures.containAssertion(items) {
      for behind in [Neighbour.newline, .word, .other] where classNeighbours.contains(behind) {
        collect(closures.resolving(items, before: before, behind: behind), only: behind, &targets)
      }
    } else {
      collect(items, only: nil, &targets)
    }
    var row: [UInt32] = []
    row.reserveCapacity(classes.count)
    for index in 0..<classes.count {
      if index > 0, targets[index] == targets[index - 1], classNeighbours[index] == classNeighbours[index - 1],
        let previous = row.last
      {
        row.append(previous)
      } else {
        row.append(try state(after: targets[index], before: classNeighbours[index]))
      }
    }
    return row
  }

  private func collect(_ items: [UInt32], only neighbour: Neighbour?, _ targets: inout [[UInt32]]) {
    for item in items {
      guard case .bytes(let low, let high, let next) = nfa.states[Int(item)] else { continue }
      for index in Int(classes.map[Int(low)])...Int(classes.map[Int(high)])
      where neighbour == nil || classNeighbours[index] == neighbour {
        targets[index].append(next)
      }
    }
  }

  /// The state that the targets, in any order, and what they lead to make up.
  private func state(after targets: [UInt32], before: Neighbour) throws(DFALimits.Exceeded) -> UInt32 {
    let key = StateSets.Key(items: targets, before: before)
    if let state = known[key] { return state }
    let items = withoutDecided(closures.union(targets))
    // What lies before matters to assertions only; without one, the same set is the same state everywhere.
    let state = try states.index(of: items, before: closures.containAssertion(items) ? before : .other)
    known[key] = state
    return state
  }

  /// Of a pattern that is known to match, only the states that say so.
  private func withoutDecided(_ items: [UInt32]) -> [UInt32] {
    guard hasDecided else { return items }
    var decided: Set<UInt32> = []
    for item in items where nfa.isDecided[Int(item)] { decided.insert(nfa.patterns[Int(item)]) }
    if decided.isEmpty { return items }
    return items.filter { [nfa] in nfa.isDecided[Int($0)] || !decided.contains(nfa.patterns[Int($0)]) }
  }

  private func acceptIndex(of items: [UInt32]) -> UInt32 {
    var ids: [UInt32] = []
    for item in items {
      if case .match(let id) = nfa.states[Int(item)] { ids.append(id) }
    }
    ids.sort()
    if let known = acceptIndices[ids] { return known }
    let index = UInt32(acceptSets.count)
    acceptSets.append(ids)
    acceptIndices[ids] = index
    return index
  }
}
