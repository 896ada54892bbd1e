import ProxyRules
import Testing

@Suite struct HTTPRuleMatcherTests {
  /// The rules of the `l7-rule` example.
  static let example = HTTPRuleSet(
    id: 1,
    rules: [
      HTTPRule(id: 10, method: "GET", path: "/.*"),
      HTTPRule(id: 11, method: "POST", path: "/api/.*"),
      HTTPRule(id: 12, method: "POST", path: "/api/v1/auth", headers: ["X-Auth-Token"]),
    ])

  static let requests: [(request: HTTPRequestDescription, decision: HTTPDecision)] = [
    (.init(method: "GET", path: "/"), .allow(ruleID: 10)),
    (.init(method: "GET", path: "/a/b?c=d#e"), .allow(ruleID: 10)),
    (.init(method: "GET", path: "*"), .deny),
    (.init(method: "get", path: "/"), .deny),
    (.init(method: "POST", path: "/"), .deny),
    (.init(method: "POST", path: "/api"), .deny),
    (.init(method: "POST", path: "/api/"), .allow(ruleID: 11)),
    (.init(method: "POST", path: "/x?/api/"), .deny),
    (.init(method: "POST", path: "/api/v1/auth"), .allow(ruleID: 11)),
    (.init(method: "DELETE", path: "/api/v1"), .deny),
    (.init(method: "GET", path: "/a\nb"), .deny),
    (.init(method: "", path: ""), .deny),
  ]

  @Test(arguments: requests)
  func example(_ scenario: (request: HTTPRequestDescription, decision: HTTPDecision)) throws {
    #expect(try HTTPRuleMatcher(HTTPRuleMatcherTests.example).decide(scenario.request) == scenario.decision)
  }

  static let single: [(rule: HTTPRule, request: HTTPRequestDescription, allowed: Bool)] = [
    (.init(id: 1), .init(path: "/"), true),
    (.init(id: 1, method: "", path: "", host: ""), .init(path: "/"), true),
    (.init(id: 1, path: "/a"), .init(path: "/a?b"), false),
    (.init(id: 1, path: "/a(\\?.*)?"), .init(path: "/a?b"), true),
    (.init(id: 1, path: "/a"), .init(path: "/%61"), false),
    (.init(id: 1, host: "example\\.com"), .init(path: "/", host: "example.com"), true),
    (.init(id: 1, host: "example\\.com"), .init(path: "/", host: "example.com:80"), false),
    (.init(id: 1, host: "example\\.com"), .init(path: "/", host: "Example.com"), false),
    (.init(id: 1, host: "(?i)example\\.com"), .init(path: "/", host: "Example.com"), true),
    (.init(id: 1, host: ".*"), .init(path: "/"), false),
    (.init(id: 1, headers: ["X-Token"]), .init(path: "/"), false),
    (.init(id: 1, headers: ["X-Token"]), .init(path: "/", headers: [("x-token", "")]), true),
    (.init(id: 1, headers: ["X-Token:"]), .init(path: "/", headers: [("x-token", "1")]), true),
    (.init(id: 1, headers: ["X-Token: a"]), .init(path: "/", headers: [("X-TOKEN", "a")]), true),
    (.init(id: 1, headers: ["X-Token a"]), .init(path: "/", headers: [("X-TOKEN", "a")]), true),
    (.init(id: 1, headers: ["X-Token: a"]), .init(path: "/", headers: [("X-Token", "A")]), false),
    (.init(id: 1, headers: ["X-Token: a"]), .init(path: "/", headers: [("X-Token", "aa")]), false),
    (.init(id: 1, headers: ["X-Token: a"]), .init(path: "/", headers: [("X-Tokens", "a")]), false),
    (.init(id: 1, headers: ["X: a"]), .init(path: "/", headers: [("X", "a"), ("X", "b")]), false),
    (.init(id: 1, headers: ["X: a,b"]), .init(path: "/", headers: [("X", "a"), ("Y", "-"), ("x", "b")]), true),
    (.init(id: 1, headers: ["X", "Y: 1"]), .init(path: "/", headers: [("X", "a")]), false),
    (.init(id: 1, headers: ["X", "Y: 1"]), .init(path: "/", headers: [("X", "a"), ("Y", "1")]), true),
    (.init(id: 1, headerMatches: [.init(name: "X", value: "a")]), .init(path: "/", headers: [("X", "b")]), false),
    (.init(id: 1, headerMatches: [.init(name: "X", value: "a")]), .init(path: "/", headers: [("X", "a")]), true),
  ]

  @Test(arguments: single)
  func field(_ scenario: (rule: HTTPRule, request: HTTPRequestDescription, allowed: Bool)) throws {
    let matcher = try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: [scenario.rule]))
    #expect(matcher.decide(scenario.request) == (scenario.allowed ? .allow(ruleID: 1) : .deny))
  }

  /// Under a rule `/open.*` and one for GET of any path.
  static let dots: [(path: String, isOpen: Bool, isPath: Bool)] = [
    ("/open/a.b", true, true), ("/open/..a/b..", true, true), ("/open/...", true, true), ("/open?../no", true, true),
    ("/open/./a", true, true), ("/open/a/../b", true, true), ("/open/.", true, true), ("/open/a/..", true, true),
    ("/open/../open/a", true, true), ("/open/..", false, true), ("/open/../no", false, true),
    ("/open/a/../../no?/open", false, true), ("/a/../open", false, true), ("/open/../../open", true, true),
    ("/open/../../../no", false, true), ("/open/%2e%2e/no", false, false), ("/open/%2E./no", false, false),
    ("/open/..%2fno", false, false), ("/open/..%5Cno", false, false), ("/open/..\\no", false, false),
    ("/open/..;x=1/no", false, false), ("/open/a%2fb/../../no", false, false), ("/open//../no", false, false),
    ("/open/%2e%2e%2fno", false, false), ("/open/..%3b/no", false, false), ("/open/a%2fb", true, true),
    ("/open//a", true, true), ("/open;a/b", true, true), ("/open/%61", true, true), ("/open/a;..", true, true),
  ]

  @Test(arguments: dots)
  func `a path leads where a server takes it`(_ scenario: (path: String, isOpen: Bool, isPath: Bool)) throws {
    let open = try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: [HTTPRule(id: 1, path: "/open.*")]))
    let anywhere = try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: [HTTPRule(id: 1, path: "/.*")]))
    let method = try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: [HTTPRule(id: 1, method: "GET")]))
    let request = HTTPRequestDescription(path: scenario.path)
    #expect((open.decide(request) == .allow(ruleID: 1)) == scenario.isOpen)
    #expect((anywhere.decide(request) == .allow(ruleID: 1)) == scenario.isPath)
    #expect(method.decide(request) == .allow(ruleID: 1), "a rule that is not about paths")
  }

  @Test func emptySetAllowsAll() throws {
    #expect(try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: [])).decide(.init(path: "x")) == .allow(ruleID: nil))
  }

  @Test(arguments: HTTPHeaderMatch.Mismatch.allCases)
  func mismatch(_ action: HTTPHeaderMatch.Mismatch) throws {
    let rule = HTTPRule(id: 7, headerMatches: [.init(name: "X", value: "a", mismatch: action)])
    let matcher = try HTTPRuleMatcher(HTTPRuleSet(id: 1, rules: [rule]))
    let request = HTTPRequestDescription(path: "/", headers: [("X", "b")])
    #expect(matcher.decide(request) == .allowWithMismatches(ruleID: 7))
    let mismatches = request.withFacts { matcher.mismatches(of: 7, in: $0) }
    #expect(mismatches.map(\.name) == ["X"])
    #expect(mismatches.map(\.value) == ["a"])
    #expect(mismatches.map(\.action) == [action])
    #expect(matcher.decide(.init(path: "/", headers: [("x", "a")])) == .allow(ruleID: 7))
  }

  static let invalid: [(rule: HTTPRule, message: String)] = [
    (
      .init(id: 9, path: "/("),
      "rule 9 of rule set 4, http[1].path: invalid regular expression \"/(\": missing ) at byte 1"
    ),
    (
      .init(id: 9, method: "(a|b)*a(a|b){20}"),
      "rule 9 of rule set 4, http[1].method: too large: the automaton of \"(a|b)*a(a|b){20}\" needs more than 10000 states"
    ),
    (
      .init(id: 9, headers: ["A", ": b"]),
      "rule 9 of rule set 4, http[1].headers[1]: \": b\" does not begin with a header name"
    ),
    (
      .init(id: 9, headerMatches: [.init(name: "a b")]),
      "rule 9 of rule set 4, http[1].headerMatches[0].name: \"a b\" is no header name"
    ),
    (
      .init(id: 9, headerMatches: [.init(name: "a", value: "b\r\nc: d", mismatch: .add)]),
      "rule 9 of rule set 4, http[1].headerMatches[0].value: control character in a header value"
    ),
  ]

  @Test(arguments: invalid)
  func names(_ scenario: (rule: HTTPRule, message: String)) {
    #expect {
      try HTTPRuleMatcher(HTTPRuleSet(id: 4, rules: [HTTPRule(id: 8, path: "/ok"), scenario.rule]))
    } throws: {
      "\($0)" == scenario.message
    }
  }
}
