import Automata

/// One field of many rules: for a value, the rules that this field does not exclude.
struct FieldMatcher: Sendable {
  /// Nil when no rule looks at the field.
  private let dfa: DFA?
  /// For each accept set of the automaton a row of `words` words; bit r % 64 of word r / 64 is rule r.
  private let rows: [UInt64]
  let words: Int

  /// `regexes` has one element for each rule: nil when the rule does not look at the field.
  init(_ regexes: [Regex?], _ limits: DFALimits) throws(DFATooLargeError) {
    words = (regexes.count + 63) / 64
    // Rules often have a pattern in common, GET above all.
    var ids: [Regex: Int] = [:]
    var patterns: [Regex] = []
    var rulesOfPattern: [[Int]] = []
    var unconcerned = [UInt64](repeating: 0, count: words)
    for (rule, regex) in regexes.enumerated() {
      guard let regex else {
        unconcerned[rule / 64] |= 1 << UInt64(rule % 64)
        continue
      }
      if let id = ids[regex] {
        rulesOfPattern[id].append(rule)
      } else {
        ids[regex] = patterns.count
        patterns.append(regex)
        rulesOfPattern.append([rule])
      }
    }
    guard !patterns.isEmpty else {
      dfa = nil
      rows = unconcerned
      return
    }
    let automaton = try DFA(set: patterns, limits: limits)
    dfa = automaton
    rows = automaton.acceptSets.flatMap { set in
      var row = unconcerned
      for id in set {
        for rule in rulesOfPattern[Int(id)] { row[rule / 64] |= 1 << UInt64(rule % 64) }
      }
      return row
    }
  }

  /// The row for a value; for nil, an absent one, only rules that do not look at the field are in it.
  func row(_ value: UnsafeRawBufferPointer?) -> Int {
    guard let dfa, let value else { return 0 }
    return dfa.acceptSetIndex(of: dfa.step(dfa.start, value)) * words
  }

  func bits(_ row: Int, _ word: Int) -> UInt64 { rows.span[row + word] }

  var hasAutomaton: Bool { dfa != nil }
  var bytes: Int { (dfa?.tableBytes ?? 0) + rows.count * 8 }
}
