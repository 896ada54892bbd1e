import ProxyRules
import Testing

@Suite struct DNSNamePatternTests {
  struct Scenario: Sendable {
    let pattern: String
    let matches: [String]
    let others: [String]
  }

  static let scenarios: [Scenario] = [
    Scenario(
      pattern: "Example.COM.", matches: ["example.com"], others: ["", "com", "a.example.com", "example.com.evil"]),
    Scenario(pattern: "*", matches: ["", "com", "a.b.c", "_dns._udp.example.com"], others: ["a\\032b.com", "*.com"]),
    Scenario(pattern: "**", matches: ["", "a.b"], others: []),
    Scenario(pattern: "*.", matches: ["", "a.b"], others: []),
    Scenario(
      pattern: "*.cilium.io", matches: ["sub.cilium.io", "_srv.cilium.io"],
      others: ["cilium.io", "a.sub.cilium.io", "xcilium.io", "sub.cilium.io.example"]),
    Scenario(
      pattern: "*cilium.io", matches: ["cilium.io", "sub-cilium.io"], others: ["sub.cilium.io", "cilium.iox"]),
    Scenario(
      pattern: "sub*.cilium.io", matches: ["sub.cilium.io", "subdomain.cilium.io"],
      others: ["www.cilium.io", "cilium.io", "sub.a.cilium.io"]),
    Scenario(
      pattern: "a*b*c.io", matches: ["abc.io", "axbxbxc.io", "abbcc.io"], others: ["acb.io", "ab.c.io", "abcd.io"]),
    Scenario(
      pattern: "**.cilium.io", matches: ["a.cilium.io", "a.b.cilium.io"],
      others: ["cilium.io", "acilium.io", "a\\046b.cilium.io"]),
    Scenario(pattern: "*.*.io", matches: ["a.b.io"], others: ["b.io", "a.b.c.io"]),
    Scenario(pattern: "**cilium.io", matches: ["cilium.io", "xcilium.io"], others: ["a.cilium.io"]),
  ]

  @Test(arguments: scenarios) func meansWhatItsFieldSays(_ scenario: Scenario) {
    let pattern = DNSNamePattern(scenario.pattern)
    for name in scenario.matches { #expect(pattern.matches(name), "\(name)") }
    for name in scenario.others { #expect(!pattern.matches(name), "\(name)") }
  }

  @Test func theFirstRuleIsTheAuthor() {
    func rule(_ id: UInt32, _ text: String) -> NameRule { NameRule(id: id, pattern: DNSNamePattern(text)) }
    let matcher = NameRuleMatcher(
      NameRuleSet(id: 1, rules: [rule(5, "a.com"), rule(6, "*.com"), rule(7, "a.com"), rule(8, "b.com")]))
    #expect(matcher.decide("a.com") == .allow(ruleID: 5))
    #expect(matcher.decide("b.com") == .allow(ruleID: 6))
    #expect(matcher.decide("c.org") == .deny)
    #expect(NameRuleMatcher(NameRuleSet(id: 2, rules: [])).decide("a") == .deny)
  }

  @Test func unionKeepsOneProtocol() {
    let names = RuleList.dns([NameRule(id: 1, pattern: DNSNamePattern("a"))])
    let more = RuleList.dns([
      NameRule(id: 2, pattern: DNSNamePattern("A.")), NameRule(id: 3, pattern: DNSNamePattern("b")),
    ])
    #expect(RuleList.union([names, .http([HTTPRule(id: 9)]), more])?.ids == [1, 3])
    #expect(RuleList.union([]) == nil)
  }
}
