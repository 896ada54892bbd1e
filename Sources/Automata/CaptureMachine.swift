/// Runs a ``CaptureProgram`` over a text: all ways to match at once, in the order of preference, in time linear in the
/// text (Pike's machine, https://swtch.com/~rsc/regexp/regexp2.html).
struct CaptureMachine {
  private struct Threads {
    /// In the order of preference.
    var order: [Int] = []
    /// For each instruction the place at which it was last added, plus one; zero for never.
    var addedAt: [Int]
    /// For each instruction the slots of its thread.
    var slots: [Int]
  }

  private enum Step {
    case visit(Int)
    case restore(slot: Int, value: Int)
  }

  private let program: CaptureProgram
  private let slotCount: Int
  private var current: Threads
  private var following: Threads

  init(_ program: CaptureProgram) {
    self.program = program
    slotCount = 2 * (program.groupCount + 1)
    let count = program.instructions.count
    current = Threads(
      addedAt: Array(repeating: 0, count: count), slots: Array(repeating: -1, count: count * slotCount))
    following = current
  }

  /// The first match at or behind `start`: where each group begins and ends, -1 for one that has no part in it; nil for no
  /// match.
  mutating func firstMatch(in text: UnsafeRawBufferPointer, from start: Int) -> [Int]? {
    var best: [Int]?
    CaptureMachine.clear(&current)
    CaptureMachine.clear(&following)
    var place = start
    while place <= text.count {
      if best == nil {
        let slots = Array(repeating: -1, count: slotCount)
        CaptureMachine.add(program.start, of: program, at: place, in: text, slots, to: &current)
      }
      if current.order.isEmpty, best != nil { break }
      following.order.removeAll(keepingCapacity: true)
      for thread in current.order {
        switch program.instructions[thread] {
        case .bytes(let low, let high, let next):
          guard place < text.count, low <= text[place], text[place] <= high else { continue }
          CaptureMachine.add(next, of: program, at: place + 1, in: text, slots(of: thread), to: &following)
        case .match:
          best = slots(of: thread)
        default: continue
        }
        if case .match = program.instructions[thread] { break }
      }
      swap(&current, &following)
      place += 1
    }
    return best
  }

  private static func clear(_ threads: inout Threads) {
    threads.order.removeAll(keepingCapacity: true)
    for index in threads.addedAt.indices { threads.addedAt[index] = 0 }
  }

  private func slots(of thread: Int) -> [Int] {
    Array(current.slots[thread * slotCount..<(thread + 1) * slotCount])
  }

  /// Adds the instructions that are reached from `first` without reading.
  private static func add(
    _ first: Int, of program: CaptureProgram, at place: Int, in text: UnsafeRawBufferPointer, _ slots: [Int],
    to threads: inout Threads
  ) {
    var slots = slots
    let slotCount = slots.count
    var stack: [Step] = []
    stack.append(.visit(first))
    while let step = stack.popLast() {
      guard case .visit(let instruction) = step else {
        if case .restore(let slot, let value) = step { slots[slot] = value }
        continue
      }
      guard threads.addedAt[instruction] != place + 1 else { continue }
      threads.addedAt[instruction] = place + 1
      switch program.instructions[instruction] {
      case .split(let preferred, let other):
        stack.append(.visit(other))
        stack.append(.visit(preferred))
      case .assertion(let assertion, let next):
        if assertion.holds(between: neighbour(place - 1, text), and: neighbour(place, text)) {
          stack.append(.visit(next))
        }
      case .save(let slot, let next):
        stack.append(.restore(slot: slot, value: slots[slot]))
        slots[slot] = place
        stack.append(.visit(next))
      case .bytes, .match:
        threads.order.append(instruction)
        threads.slots.replaceSubrange(instruction * slotCount..<(instruction + 1) * slotCount, with: slots)
      case .fail: continue
      }
    }
  }

  private static func neighbour(_ place: Int, _ text: UnsafeRawBufferPointer) -> Neighbour {
    text.indices.contains(place) ? Neighbour(text[place]) : .boundary
  }
}
