extension TransitionTable {
  /// The smallest automaton that accepts the same, in a canonical numbering: state 0 is the dead state, whether or not
  /// it can be reached, the others follow in the order of a breadth-first search; bytes that behave alike share a class.
  func minimized() -> TransitionTable {
    // Refinement takes time for each class, so the classes are merged before it, too.
    let table = withMergedClasses()
    return table.renumbered(Refinement.blocks(of: table)).withMergedClasses()
  }

  /// One state for each block, numbered canonically.
  private func renumbered(_ blocks: [UInt32]) -> TransitionTable {
    let width = classes.count
    let dead = stateCount  // Stands for the block that never accepts, for which there may be no state.
    var members = [Int](repeating: 0, count: stateCount)
    for state in 0..<stateCount { members[Int(blocks[state])] = state }
    func isDead(_ block: Int) -> Bool {
      let member = members[block]
      return accepts[member] == 0
        && transitions[(member * width)..<((member + 1) * width)].allSatisfy { Int(blocks[Int($0)]) == block }
    }
    var numbers = [UInt32?](repeating: nil, count: stateCount)
    var order = [dead]
    func number(_ block: Int) -> UInt32 {
      if let known = numbers[block] { return known }
      let number = isDead(block) ? 0 : UInt32(order.count)
      if number > 0 { order.append(members[block]) }
      numbers[block] = number
      return number
    }
    var result = TransitionTable(
      classes: classes, transitions: Array(repeating: 0, count: width), accepts: [0], acceptSets: acceptSets, start: 0)
    result.start = number(Int(blocks[Int(start)]))
    var current = 1
    while current < order.count {
      let member = order[current]
      for target in transitions[(member * width)..<((member + 1) * width)] {
        result.transitions.append(number(Int(blocks[Int(target)])))
      }
      result.accepts.append(accepts[member])
      current += 1
    }
    return result
  }

  /// Bytes whose columns are equal become one class.
  private func withMergedClasses() -> TransitionTable {
    let width = classes.count
    var columns: [[UInt32]: UInt8] = [:]
    var merged: [UInt8] = []
    var first: [Int] = []
    for column in 0..<width {
      let targets = (0..<stateCount).map { transitions[$0 * width + column] }
      let index = columns[targets] ?? UInt8(columns.count)
      if columns.updateValue(index, forKey: targets) == nil { first.append(column) }
      merged.append(index)
    }
    guard first.count < width else { return self }
    var result = self
    result.classes = ByteClasses(classes, merged: merged, count: first.count)
    result.transitions = (0..<stateCount).flatMap { state in first.map { transitions[state * width + $0] } }
    return result
  }
}

/// Partition refinement after Hopcroft: which states no text tells apart, in O(classes * states * log states).
private struct Refinement {
  private let table: TransitionTable
  /// The states by block: those of block b are `elements[first[b]..<end[b]]`.
  private var elements: [UInt32]
  private var positions: [Int]
  private var blocks: [UInt32]
  private var first: [Int] = []
  private var end: [Int] = []
  /// How many elements at the front of each block have been marked in this step.
  private var marked: [Int] = []
  /// Sources of the transitions of class c into state s: `sources[offsets[c * states + s]..<offsets[… + 1]]`.
  private var sources: [UInt32]
  private var offsets: [Int]

  static func blocks(of table: TransitionTable) -> [UInt32] {
    var refinement = Refinement(table)
    refinement.refine()
    return refinement.blocks
  }

  private init(_ table: TransitionTable) {
    self.table = table
    let count = table.stateCount
    let width = table.classes.count
    elements = (0..<UInt32(count)).sorted { table.accepts[Int($0)] < table.accepts[Int($1)] }
    positions = Array(repeating: 0, count: count)
    blocks = Array(repeating: 0, count: count)
    offsets = Array(repeating: 0, count: width * count + 1)
    sources = Array(repeating: 0, count: width * count)
    for state in 0..<count {
      for column in 0..<width {
        offsets[column * count + Int(table.transitions[state * width + column]) + 1] += 1
      }
    }
    for index in 1..<offsets.count { offsets[index] += offsets[index - 1] }
    var next = offsets
    for state in 0..<count {
      for column in 0..<width {
        let index = column * count + Int(table.transitions[state * width + column])
        sources[next[index]] = UInt32(state)
        next[index] += 1
      }
    }
    for (position, state) in elements.enumerated() {
      let accept = table.accepts[Int(state)]
      if position == 0 || table.accepts[Int(elements[position - 1])] != accept {
        first.append(position)
        end.append(position)
        marked.append(0)
      }
      end[end.count - 1] = position + 1
      blocks[Int(state)] = UInt32(first.count - 1)
      positions[Int(state)] = position
    }
  }

  private mutating func refine() {
    let width = table.classes.count
    let count = table.stateCount
    // A splitter is a block and a class.
    var pending = (0..<(first.count * width)).map { $0 }
    var isPending = [Bool](repeating: true, count: pending.count)
    while let splitter = pending.popLast() {
      isPending[splitter] = false
      let (block, column) = splitter.quotientAndRemainder(dividingBy: width)
      var touched: [Int] = []
      // The block may itself be split while its sources are marked, so they are read first.
      var found: [UInt32] = []
      for position in first[block]..<end[block] {
        let index = column * count + Int(elements[position])
        found += sources[offsets[index]..<offsets[index + 1]]
      }
      for state in found {
        let source = Int(blocks[Int(state)])
        if marked[source] == 0 { touched.append(source) }
        mark(Int(state), in: source)
      }
      for source in touched {
        guard let created = split(source) else { continue }
        isPending += repeatElement(false, count: width)
        let smaller = end[created] - first[created] < end[source] - first[source] ? created : source
        for column in 0..<width {
          let block = isPending[source * width + column] ? created : smaller
          isPending[block * width + column] = true
          pending.append(block * width + column)
        }
      }
    }
  }

  private mutating func mark(_ state: Int, in block: Int) {
    let target = first[block] + marked[block]
    let position = positions[state]
    let other = Int(elements[target])
    elements.swapAt(target, position)
    positions[state] = target
    positions[other] = position
    marked[block] += 1
  }

  /// Moves the marked states of a block into a new one, unless all are marked.
  private mutating func split(_ block: Int) -> Int? {
    let count = marked[block]
    marked[block] = 0
    guard count < end[block] - first[block] else { return nil }
    let created = first.count
    first.append(first[block])
    end.append(first[block] + count)
    marked.append(0)
    first[block] += count
    for position in first[created]..<end[created] { blocks[Int(elements[position])] = UInt32(created) }
    return created
  }
}
