import Automata
import ProxyRules
import TestSupport
import Testing

/// The shared automata decide as one automaton for each rule and field does.
@Suite struct MatcherPropertyTests {
  static let methods = ["GET", "POST", "GET|PUT", "(?i)delete", "", "[A-Z]+"]
  static let hosts = ["a\\.com", ".*\\.com(:[0-9]+)?", "", "", "(?i)a.*"]
  static let paths = ["/.*", "/a/.*", "/a/b", "/[ab]+/?", ".*[?]x=1.*", "/a(/b)*", "", "/é.*"]
  static let headers: [[String]] = [[], [], [], ["X"], ["X: 1"], ["X", "Y: 2"]]

  static func agree(_ set: HTTPRuleSet, _ request: HTTPRequestDescription) throws -> Bool {
    func holds(_ pattern: String?, _ value: String?) throws -> Bool {
      guard let pattern, !pattern.isEmpty else { return true }
      guard let value else { return false }
      return try DFA(Regex(parsing: pattern)).matchesFully(value)
    }
    let first = try set.rules.first { rule in
      let hasHeaders = rule.headers.allSatisfy { text in
        let parts = text.split(separator: ": ")
        let values = request.headers.filter { $0.name.lowercased() == parts[0].lowercased() }.map(\.value)
        return !values.isEmpty && (parts.count == 1 || values.joined(separator: ",") == parts[1])
      }
      return try hasHeaders && holds(rule.method, request.method) && holds(rule.path, request.path)
        && holds(rule.host, request.host)
    }
    let expected: HTTPDecision = first.map { .allow(ruleID: $0.id) } ?? .deny
    return try HTTPRuleMatcher(set).decide(request) == expected
  }

  @Test func decidesAsTheRulesOneByOne() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<60 {
      // Often more rules than a word has bits.
      let rules = (0..<UInt32.random(in: 1...150, using: &generator)).map { id in
        HTTPRule(
          id: id, method: Self.methods.randomElement(using: &generator),
          path: Self.paths.randomElement(using: &generator), host: Self.hosts.randomElement(using: &generator),
          headers: Self.headers.randomElement(using: &generator) ?? [])
      }
      let few = Array(rules.shuffled(using: &generator).prefix(3))
      for _ in 0..<3 {
        let request = HTTPRequestDescription(
          method: ["GET", "POST", "PUT", "delete", "x"].randomElement(using: &generator) ?? "",
          path: ["/", "/a/b", "/a", "/b?x=1", "/é", "x", "/a/b/b"].randomElement(using: &generator) ?? "",
          host: ["a.com", "b.com:80", "A", nil].randomElement(using: &generator) ?? nil,
          headers: [[], [("x", "1")], [("X", "1"), ("y", "2")], [("X", "1"), ("X", "1")]]
            .randomElement(using: &generator) ?? [])
        for set in [HTTPRuleSet(id: 1, rules: rules), HTTPRuleSet(id: 2, rules: few)] {
          #expect(try MatcherPropertyTests.agree(set, request), "\(set) \(request)")
        }
      }
    }
  }

  /// Together these patterns need a state for each subset of them.
  @Test func splitsWhatDoesNotFitTogether() throws {
    let rules = (0..<24).map { HTTPRule(id: UInt32($0), path: ".*\(Character(Unicode.Scalar(UInt8(97 + $0)))).*") }
    let matcher = try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: rules))
    #expect(matcher.cost.automata > 1)
    for id in 0..<24 {
      #expect(
        matcher.decide(.init(path: "/\(Character(Unicode.Scalar(UInt8(97 + id))))")) == .allow(ruleID: UInt32(id)))
    }
    #expect(matcher.decide(.init(path: "/xa")) == .allow(ruleID: 0))
    #expect(matcher.decide(.init(path: "/z")) == .deny)
  }
}
