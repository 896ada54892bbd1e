/// Where an NFA's states lead without reading a byte. Only states that read, assert or match are members of sets.
struct EpsilonClosures {
  private let nfa: NFA
  private let isAssertion: [Bool]
  /// Closures that were asked for, assertions not passed; empty before.
  private var known: [[UInt32]]
  /// A state is in the set that is being made when its mark is the current one.
  private var marks: [UInt32]
  private var mark: UInt32 = 0
  private var visited: [UInt32]
  private var visit: UInt32 = 0

  init(_ nfa: NFA) {
    self.nfa = nfa
    isAssertion = nfa.states.map { if case .assertion = $0 { true } else { false } }
    known = Array(repeating: [], count: nfa.states.count)
    marks = Array(repeating: 0, count: nfa.states.count)
    visited = marks
  }

  /// Whether one of the states asserts.
  func containAssertion(_ items: [UInt32]) -> Bool {
    for item in items where isAssertion[Int(item)] { return true }
    return false
  }

  /// All that the targets lead to, sorted.
  mutating func union(_ targets: [UInt32]) -> [UInt32] {
    if targets.isEmpty { return [] }
    if targets.count == 1 { return closure(of: targets[0]) }
    var result: [UInt32] = []
    mark += 1
    for target in targets { add(closure(of: target), to: &result) }
    result.sort()
    return result
  }

  /// The set and all that its assertions, where they hold, lead to. The order has no meaning.
  mutating func resolving(_ items: [UInt32], before: Neighbour, behind: Neighbour) -> [UInt32] {
    var result: [UInt32] = []
    mark += 1
    add(items, to: &result)
    var index = 0
    while index < result.count {
      if case .assertion(let assertion, let next) = nfa.states[Int(result[index])],
        assertion.holds(between: before, and: behind)
      {
        add(closure(of: next), to: &result)
      }
      index += 1
    }
    return result
  }

  private mutating func add(_ items: [UInt32], to result: inout [UInt32]) {
    for item in items where marks[Int(item)] != mark {
      marks[Int(item)] = mark
      result.append(item)
    }
  }

  private mutating func closure(of state: UInt32) -> [UInt32] {
    if !known[Int(state)].isEmpty { return known[Int(state)] }
    var result: [UInt32] = []
    var pending = [state]
    visit += 1
    while let next = pending.popLast() {
      guard visited[Int(next)] != visit else { continue }
      visited[Int(next)] = visit
      switch nfa.states[Int(next)] {
      case .split(let first, let second):
        pending.append(second)
        pending.append(first)
      case .fail: break
      case .bytes, .assertion, .match: result.append(next)
      }
    }
    result.sort()
    known[Int(state)] = result
    return result
  }
}
