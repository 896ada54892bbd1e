import Automata
import Testing

@Suite struct AlgebraTests {
  static func dfa(_ pattern: String) throws -> DFA { try DFA(Regex(parsing: pattern)) }

  /// `counterexample` matches `left` but not `right`; nil: every text that matches `left` matches `right`.
  static let subsets: [(left: String, right: String, counterexample: String?)] = [
    ("/api/v1/auth", "/api/.*", nil),
    ("/api/.*", "/api/v1/auth", "/api/"),
    ("[a-c]+", "[a-z]*", nil),
    ("[a-z]*", "[a-c]+", ""),
    ("(a|b)*", "(a*b*)*", nil),
    ("GET|POST", "GET", "POST"),
    ("(?i)get", "GET", "GEt"),
    ("[^\\x00-\\x{10FFFF}]", "a", nil),
  ]

  @Test(arguments: subsets)
  func subset(_ scenario: (left: String, right: String, counterexample: String?)) throws {
    let left = try AlgebraTests.dfa(scenario.left)
    let right = try AlgebraTests.dfa(scenario.right)
    let found = left.counterexample(toBeingSubsetOf: right)
    #expect(left.isSubset(of: right) == (scenario.counterexample == nil))
    #expect(found?.count == scenario.counterexample?.utf8.count)
    if let found {
      #expect(left.matchesFully(found))
      #expect(!right.matchesFully(found))
    }
  }

  @Test func setOperations() throws {
    let left = try AlgebraTests.dfa("[a-m]*")
    let right = try AlgebraTests.dfa("[g-z]+")
    let both = try left.intersection(right)
    #expect(both.difference(from: try AlgebraTests.dfa("[g-m]+")) == nil)
    #expect(try left.union(right).difference(from: AlgebraTests.dfa("[a-m]*|[g-z]+")) == nil)
    #expect(try left.subtracting(right).difference(from: AlgebraTests.dfa("([a-m]*[a-f][a-m]*)?")) == nil)
    #expect(left.complement().complement().difference(from: left) == nil)
    #expect(try left.intersection(left.complement()).isEmpty)
    #expect(left.complement().matchesFully([0xFF]))
    #expect(left.commonMatch(with: right)?.count == 1)
    #expect(try AlgebraTests.dfa("a").commonMatch(with: AlgebraTests.dfa("b")) == nil)
  }

  @Test func equalLanguagesHaveEqualAutomata() throws {
    let pairs = [("a+", "aa*"), ("(a|b)*", "[ab]*"), ("x{2,4}", "xx(xx?)?"), ("(?i)é", "[éÉ]"), ("a?b?", "|a|b|ab")]
    for (left, right) in pairs {
      #expect(try AlgebraTests.dfa(left).difference(from: AlgebraTests.dfa(right)) == nil)
      #expect(try AlgebraTests.dfa(left).stateCount == AlgebraTests.dfa(right).stateCount)
    }
  }

  @Test func literal() throws {
    let text = "/a.b*\\E(é)"
    let dfa = try DFA(Regex(literal: text))
    #expect(dfa.shortestMatch == Array(text.utf8))
    #expect(dfa.difference(from: try AlgebraTests.dfa(Regex(literal: text).pattern)) == nil)
  }
}
