import Automata
import JSON

/// Finds the routes whose path may match, in their order, without asking each of them.
struct PathIndex: Sendable {
  /// Routes with literal paths, compared in one way.
  private struct Literals: Sendable {
    let index: LiteralIndex
    /// For text i its lists in `routes`: prefixes at 3i, whole paths at 3i + 1, separated prefixes at 3i + 2. Each is a
    /// range up to the next one's beginning.
    let starts: [UInt32]
    let routes: [UInt32]

    init(_ paths: [(text: String, kind: Int, route: UInt32)], ignoresCase: Bool) {
      let places: [Int]
      (index, places) = LiteralIndex.build(paths.map(\.text), LiteralIndex.Folding(ignoresCase: ignoresCase))
      var starts = Array(repeating: 0 as UInt32, count: index.count * 3 + 1)
      for (path, text) in zip(paths, places) { starts[text * 3 + path.kind + 1] += 1 }
      for list in starts.indices.dropFirst() { starts[list] += starts[list - 1] }
      var ends = starts
      var routes = Array(repeating: 0 as UInt32, count: paths.count)
      for (path, text) in zip(paths, places) {
        routes[Int(ends[text * 3 + path.kind])] = path.route
        ends[text * 3 + path.kind] += 1
      }
      self.starts = starts
      self.routes = routes
    }
  }

  /// Regular expressions that share an automaton.
  private struct Expressions: Sendable {
    let dfa: DFA
    let regexes: [SafeRegex]
    /// For set i of `dfa.acceptSets` the range of its expressions in `accepted`.
    let starts: [UInt32]
    let accepted: [UInt32]
    /// The route of each expression, ascending.
    private var routes: [UInt32]

    init(_ regexes: ArraySlice<(SafeRegex, UInt32)>, _ dfa: DFA) {
      self.dfa = dfa
      self.regexes = regexes.map(\.0)
      routes = regexes.map(\.1)
      starts = dfa.acceptSets.reduce(into: [0]) { $0.append($0[$0.count - 1] + UInt32($1.count)) }
      accepted = dfa.acceptSets.flatMap { $0 }
    }

    /// The same expressions, as those of other routes.
    func of(_ routes: ArraySlice<UInt32>) -> Expressions {
      var copy = self
      copy.routes = Array(routes)
      return copy
    }

    func route(at position: Int) -> UInt32 { routes[Int(accepted[position])] }
  }

  /// What is left of a list of routes.
  private struct Rest {
    var position: Int
    var end: Int
    /// 0 and 1 for the literals, from 2 on for the expressions.
    var source: Int
  }

  private let exactCase: Literals
  private let anyCase: Literals
  private let expressions: [Expressions]
  private let capacity: Int

  /// As in the matchers of rules: an automaton is shared as long as it stays small.
  private static let sharedLimits = DFALimits(maximumStates: 1_000, maximumSetEntries: 100_000)

  /// - Parameters:
  ///   - previous: The index of the routes `known`: automata that are still right are taken from there, and all of it where
  ///     no path has changed.
  init(_ routes: [Route], reusing previous: PathIndex? = nil, of known: [Route] = []) throws(FieldError) {
    if let previous, routes.count == known.count, zip(routes, known).allSatisfy({ $0.hasPath(of: $1) }) {
      self = previous
      return
    }
    var literals: [[(text: String, kind: Int, route: UInt32)]] = [[], []]
    var regexes: [(SafeRegex, UInt32)] = []
    for (index, route) in routes.enumerated() {
      let group = route.match.isCaseSensitive ? 0 : 1
      switch route.match.path {
      case .prefix(let text): literals[group].append((text, 0, UInt32(index)))
      case .exact(let text): literals[group].append((text, 1, UInt32(index)))
      case .separatedPrefix(let text): literals[group].append((text, 2, UInt32(index)))
      case .regex(let regex): regexes.append((regex, UInt32(index)))
      }
    }
    exactCase = Literals(literals[0], ignoresCase: false)
    anyCase = Literals(literals[1], ignoresCase: true)
    if let previous, previous.expressions.flatMap(\.regexes) == regexes.map(\.0) {
      let routes = regexes.map(\.1)
      var start = 0
      expressions = previous.expressions.map { part in
        defer { start += part.regexes.count }
        return part.of(routes[start..<start + part.regexes.count])
      }
    } else {
      expressions = regexes.isEmpty ? [] : try PathIndex.compile(regexes[...])
    }
    capacity = 3 * (exactCase.index.maximumDepth + anyCase.index.maximumDepth) + expressions.count
  }

  private static func compile(_ regexes: ArraySlice<(SafeRegex, UInt32)>) throws(FieldError) -> [Expressions] {
    let shared = try? DFA(set: regexes.map(\.0.regex), limits: sharedLimits)
    let alone = shared == nil && regexes.count == 1
    if let dfa = alone ? try regexes[regexes.startIndex].0.automaton() : shared {
      return [Expressions(regexes, dfa)]
    }
    let middle = regexes.startIndex + regexes.count / 2
    return try compile(regexes[..<middle]) + compile(regexes[middle...])
  }

  /// The first route whose path matches and whom `accepts` takes.
  func first(_ path: UnsafeRawBufferPointer, where accepts: (Int) -> Bool) -> Int? {
    withUnsafeTemporaryAllocation(of: Rest.self, capacity: max(capacity, 1)) { rests in
      var count = 0
      func add(_ starts: [UInt32], _ list: Int, _ source: Int) {
        let rest = Rest(position: Int(starts[list]), end: Int(starts[list + 1]), source: source)
        guard rest.position < rest.end, count < rests.count else { return }
        rests.initializeElement(at: count, to: rest)
        count += 1
      }
      func addAll(_ literals: borrowing Literals, _ source: Int) {
        var text = literals.index.count == 0 ? nil : literals.index.longestPrefix(of: path)
        while let found = text {
          let length = literals.index.length(found)
          add(literals.starts, found * 3, source)
          if length == path.count { add(literals.starts, found * 3 + 1, source) }
          if length == path.count || path[length] == UInt8(ascii: "/") { add(literals.starts, found * 3 + 2, source) }
          text = literals.index.parent(found)
        }
      }
      addAll(exactCase, 0)
      addAll(anyCase, 1)
      for (index, part) in expressions.enumerated() {
        add(part.starts, part.dfa.acceptSetIndex(of: part.dfa.step(part.dfa.start, path)), index + 2)
      }
      return merge(rests, count, accepts)
    }
  }

  /// Walks the lists together, in the order of the routes.
  private func merge(
    _ rests: UnsafeMutableBufferPointer<Rest>, _ count: Int, _ accepts: (Int) -> Bool
  ) -> Int? {
    while true {
      var best = -1
      var route = UInt32.max
      for index in 0..<count where rests[index].position < rests[index].end {
        let candidate = self.route(rests[index])
        if candidate < route {
          route = candidate
          best = index
        }
      }
      guard best >= 0 else { return nil }
      if accepts(Int(route)) { return Int(route) }
      rests[best].position += 1
    }
  }

  private func route(_ rest: Rest) -> UInt32 {
    switch rest.source {
    case 0: exactCase.routes[rest.position]
    case 1: anyCase.routes[rest.position]
    default: expressions[rest.source - 2].route(at: rest.position)
    }
  }
}

extension Route {
  fileprivate func hasPath(of other: Route) -> Bool {
    self === other || match.path == other.match.path && match.isCaseSensitive == other.match.isCaseSensitive
  }
}
