/// Matches small regular expressions by trying everything: characters, `.`, `(…)`, `|`, and `*`, `+`, `?` behind them.
/// Slow, and short enough to be seen to be right.
struct SlowRegex {
  private indirect enum Node {
    case character(Character?)
    case sequence([Node])
    case choice([Node])
    case loop(Node, least: Int, most: Int)
  }

  private let root: Node

  init(_ pattern: String) {
    var rest = Array(pattern)[...]
    root = SlowRegex.choice(&rest)
  }

  func matches(_ text: String) -> Bool { SlowRegex.ends(root, Array(text), 0).contains(text.count) }

  private static func choice(_ rest: inout ArraySlice<Character>) -> Node {
    var branches: [Node] = []
    var current: [Node] = []
    while let next = rest.first, next != ")" {
      rest.removeFirst()
      switch next {
      case "|":
        branches.append(.sequence(current))
        current = []
      case "(":
        current.append(choice(&rest))
        rest.removeFirst()
      case "*": current.append(.loop(current.removeLast(), least: 0, most: .max))
      case "+": current.append(.loop(current.removeLast(), least: 1, most: .max))
      case "?": current.append(.loop(current.removeLast(), least: 0, most: 1))
      case ".": current.append(.character(nil))
      case "\\": current.append(.character(rest.removeFirst()))
      default: current.append(.character(next))
      }
    }
    return .choice(branches + [.sequence(current)])
  }

  /// Where a match of the node that begins at `start` can end.
  private static func ends(_ node: Node, _ text: [Character], _ start: Int) -> Set<Int> {
    switch node {
    case .character(let wanted):
      return start < text.count && (wanted == nil || wanted == text[start]) ? [start + 1] : []
    case .choice(let branches): return branches.reduce(into: []) { $0.formUnion(ends($1, text, start)) }
    case .sequence(let parts):
      return parts.reduce([start]) { starts, part in
        starts.reduce(into: []) { $0.formUnion(ends(part, text, $1)) }
      }
    case .loop(let body, let least, let most):
      var reached: Set<Int> = [start]
      var result: Set<Int> = least == 0 ? [start] : []
      for count in 1...text.count + 1 where count <= most {
        reached = reached.reduce(into: []) { $0.formUnion(ends(body, text, $1)) }
        if count >= least { result.formUnion(reached) }
      }
      return result
    }
  }
}
