/// A regular expression as a program for a virtual machine that knows where its groups matched. Of two ways to match, the
/// one that the expression prefers is written first.
struct CaptureProgram: Sendable {
  enum Instruction: Sendable {
    /// Reads a byte of `low...high` and goes to `next`.
    case bytes(low: UInt8, high: UInt8, next: Int)
    case split(preferred: Int, other: Int)
    case assertion(Assertion, next: Int)
    /// Notes the place: slot `2n` is where group n begins, `2n + 1` where it ends; group 0 is the whole match.
    case save(slot: Int, next: Int)
    case match
    case fail
  }

  static let maximumInstructions = 20_000

  private(set) var instructions: [Instruction] = []
  private(set) var start = 0
  private(set) var groupCount = 0

  /// nil for an expression that needs more than ``maximumInstructions``.
  init?(_ regex: Regex) {
    guard let match = add(.match), let end = add(.save(slot: 1, next: match)), let body = compile(regex.root, end),
      let start = add(.save(slot: 0, next: body))
    else { return nil }
    self.start = start
  }

  private mutating func add(_ instruction: Instruction) -> Int? {
    guard instructions.count < CaptureProgram.maximumInstructions else { return nil }
    instructions.append(instruction)
    return instructions.count - 1
  }

  /// Adds what matches `node` and goes on to `next`; gives the first instruction.
  private mutating func compile(_ node: RegexNode, _ next: Int) -> Int? {
    switch node {
    case .empty: return next
    case .anyByte: return add(.bytes(low: 0, high: 0xFF, next: next))
    case .assertion(let assertion): return add(.assertion(assertion, next: next))
    case .scalar(let set): return compile(set, next)
    case .concatenation(let parts):
      return parts.reversed().reduce(Optional(next)) { next, part in next.flatMap { compile(part, $0) } }
    case .alternation(let parts):
      var starts: [Int] = []
      for part in parts {
        guard let start = compile(part, next) else { return nil }
        starts.append(start)
      }
      return alternatives(starts)
    case .repetition: return repetition(node, isLazy: false, next)
    case .lazy(let repetition): return self.repetition(repetition, isLazy: true, next)
    case .group(let number, let content):
      groupCount = max(groupCount, number)
      guard let end = add(.save(slot: 2 * number + 1, next: next)), let body = compile(content, end) else { return nil }
      return add(.save(slot: 2 * number, next: body))
    }
  }

  private mutating func compile(_ set: ScalarSet, _ next: Int) -> Int? {
    var starts: [Int] = []
    for sequence in UTF8Sequences.sequences(of: set) {
      var start = next
      for range in sequence.reversed() {
        guard let state = add(.bytes(low: range.lowerBound, high: range.upperBound, next: start)) else { return nil }
        start = state
      }
      starts.append(start)
    }
    return alternatives(starts)
  }

  private mutating func alternatives(_ starts: [Int]) -> Int? {
    guard let last = starts.last else { return add(.fail) }
    return starts.dropLast().reversed().reduce(Optional(last)) { rest, start in
      rest.flatMap { add(.split(preferred: start, other: $0)) }
    }
  }

  private mutating func repetition(_ node: RegexNode, isLazy: Bool, _ next: Int) -> Int? {
    guard case .repetition(let operand, let minimum, let maximum) = node else { return compile(node, next) }
    var result: Int? = next
    if let maximum {
      for _ in minimum..<max(maximum, minimum) {
        result = result.flatMap { compile(operand, $0) }.flatMap { split($0, next, isLazy) }
      }
    } else if minimum == 0 && !operand.canBeEmpty {
      result = loop(operand, isLazy, next)?.split
    } else {
      // x* of an x that may be empty is (x+)?, as in RE2: else a pass that reads nothing would count as one.
      result = loop(operand, isLazy, next)?.body
      if minimum == 0 { result = result.flatMap { split($0, next, isLazy) } }
    }
    let copies = maximum == nil ? minimum - 1 : minimum
    for _ in 0..<max(copies, 0) { result = result.flatMap { compile(operand, $0) } }
    return result
  }

  /// `x+` from `body` on, `x*` from `split` on.
  private mutating func loop(_ operand: RegexNode, _ isLazy: Bool, _ next: Int) -> (body: Int, split: Int)? {
    guard let split = add(.fail), let body = compile(operand, split) else { return nil }
    instructions[split] = isLazy ? .split(preferred: next, other: body) : .split(preferred: body, other: next)
    return (body, split)
  }

  private mutating func split(_ body: Int, _ next: Int, _ isLazy: Bool) -> Int? {
    add(isLazy ? .split(preferred: next, other: body) : .split(preferred: body, other: next))
  }
}

extension RegexNode {
  /// Whether it matches the empty text somewhere.
  fileprivate var canBeEmpty: Bool {
    switch self {
    case .empty, .assertion: true
    case .scalar, .anyByte: false
    case .concatenation(let parts): parts.allSatisfy(\.canBeEmpty)
    case .alternation(let parts): parts.contains(where: \.canBeEmpty)
    case .repetition(let operand, let minimum, _): minimum == 0 || operand.canBeEmpty
    case .lazy(let node), .group(_, let node): node.canBeEmpty
    }
  }
}
