/// Sets of texts and what holds between them. An automaton of several patterns stands for their union; texts are all
/// byte strings, so a complement holds those that are no UTF-8 too.
extension DFA {
  /// Whether no text matches.
  public var isEmpty: Bool { shortestMatch == nil }

  /// A shortest text that matches, of the most readable bytes that do; nil when there is none.
  public var shortestMatch: [UInt8]? {
    Product(self, self).shortest { left, _ in left }
  }

  /// Whether every text that matches this automaton matches `other` too.
  public func isSubset(of other: DFA) -> Bool { counterexample(toBeingSubsetOf: other) == nil }

  /// A shortest text that matches this automaton but not `other`; nil when there is none.
  public func counterexample(toBeingSubsetOf other: DFA) -> [UInt8]? {
    Product(self, other).shortest { left, right in left && !right }
  }

  /// A shortest text that matches one of the two automata only; nil when they are equal.
  public func difference(from other: DFA) -> [UInt8]? {
    Product(self, other).shortest { left, right in left != right }
  }

  /// A shortest text that matches both; nil when there is none.
  public func commonMatch(with other: DFA) -> [UInt8]? {
    Product(self, other).shortest { left, right in left && right }
  }

  /// The texts that match both.
  public func intersection(_ other: DFA, limits: DFALimits = .standard) throws(DFATooLargeError) -> DFA {
    try combined(with: other, limits) { $0 && $1 }
  }

  /// The texts that match at least one.
  public func union(_ other: DFA, limits: DFALimits = .standard) throws(DFATooLargeError) -> DFA {
    try combined(with: other, limits) { $0 || $1 }
  }

  /// The texts that match this automaton but not `other`.
  public func subtracting(_ other: DFA, limits: DFALimits = .standard) throws(DFATooLargeError) -> DFA {
    try combined(with: other, limits) { $0 && !$1 }
  }

  /// The texts that do not match.
  public func complement() -> DFA {
    var table = table
    table.accepts = table.accepts.map { $0 == 0 ? 1 : 0 }
    table.acceptSets = [[], [0]]
    return DFA(table, patternCount: 1)
  }

  private func combined(
    with other: DFA, _ limits: DFALimits, _ accepts: (Bool, Bool) -> Bool
  ) throws(DFATooLargeError) -> DFA {
    do throws(DFALimits.Exceeded) {
      return DFA(try Product(self, other).table(limits, accepts), patternCount: 1)
    } catch {
      throw DFATooLargeError(patterns: [], error)
    }
  }

  private var table: TransitionTable {
    var transitions: [UInt32] = []
    for state in 0..<stateCount {
      for column in 0..<classes.count { transitions.append(UInt32(target(state, column))) }
    }
    return TransitionTable(
      classes: classes, transitions: transitions, accepts: accepts, acceptSets: acceptSets,
      start: start.row >> rowShift)
  }

  fileprivate func target(_ state: Int, _ column: Int) -> Int {
    let index = state << Int(rowShift) + column
    return Int(narrow.isEmpty ? wide[index] : UInt32(narrow[index])) >> Int(rowShift)
  }
}

/// Two automata that read the same text side by side, explored from their starts in order of length.
private struct Product {
  private struct Pair: Hashable {
    let left: Int
    let right: Int
  }

  private struct Column: Hashable {
    let left: Int
    let right: Int
  }

  /// How a pair was reached first.
  private struct Arrival {
    let from: Pair
    let byte: UInt8
  }

  private let left: DFA
  private let right: DFA
  private let classes: ByteClasses
  private let columns: [Column]

  init(_ left: DFA, _ right: DFA) {
    self.left = left
    self.right = right
    var indices: [Column: UInt8] = [:]
    var columns: [Column] = []
    var map: [UInt8] = []
    for byte in 0..<256 {
      let column = Column(left: Int(left.classes.map[byte]), right: Int(right.classes.map[byte]))
      if indices[column] == nil {
        indices[column] = UInt8(columns.count)
        columns.append(column)
      }
      map.append(indices[column] ?? 0)
    }
    self.columns = columns
    classes = ByteClasses(map: map, count: columns.count)
  }

  private var start: Pair {
    Pair(left: Int(left.start.row >> left.rowShift), right: Int(right.start.row >> right.rowShift))
  }

  private func target(_ pair: Pair, _ column: Column) -> Pair {
    Pair(left: left.target(pair.left, column.left), right: right.target(pair.right, column.right))
  }

  private func accepts(_ pair: Pair, _ condition: (Bool, Bool) -> Bool) -> Bool {
    condition(left.accepts[pair.left] != 0, right.accepts[pair.right] != 0)
  }

  /// A shortest text after which `condition` holds for whether each side matches.
  func shortest(where condition: (Bool, Bool) -> Bool) -> [UInt8]? {
    let bytes = classes.representatives
    let order = columns.indices.sorted {
      (ByteClasses.rank(bytes[$0]), bytes[$0]) < (ByteClasses.rank(bytes[$1]), bytes[$1])
    }
    var arrivals = [start: Arrival(from: start, byte: 0)]
    var pairs = [start]
    var current = 0
    while current < pairs.count {
      let pair = pairs[current]
      current += 1
      if accepts(pair, condition) {
        var text: [UInt8] = []
        var place = pair
        while place != start, let arrival = arrivals[place] {
          text.append(arrival.byte)
          place = arrival.from
        }
        return text.reversed()
      }
      for index in order {
        let next = target(pair, columns[index])
        if arrivals[next] == nil {
          arrivals[next] = Arrival(from: pair, byte: bytes[index])
          pairs.append(next)
        }
      }
    }
    return nil
  }

  func table(_ limits: DFALimits, _ condition: (Bool, Bool) -> Bool) throws(DFALimits.Exceeded) -> TransitionTable {
    var numbers = [start: UInt32(0)]
    var pairs = [start]
    var table = TransitionTable(
      classes: classes, transitions: [], accepts: [], acceptSets: [[], [0]], start: 0)
    var current = 0
    while current < pairs.count {
      let pair = pairs[current]
      current += 1
      table.accepts.append(accepts(pair, condition) ? 1 : 0)
      for column in columns {
        let next = target(pair, column)
        if let known = numbers[next] {
          table.transitions.append(known)
        } else {
          guard pairs.count < limits.maximumStates else { throw .states(limits.maximumStates) }
          let number = UInt32(pairs.count)
          numbers[next] = number
          pairs.append(next)
          table.transitions.append(number)
        }
      }
    }
    return table
  }
}
