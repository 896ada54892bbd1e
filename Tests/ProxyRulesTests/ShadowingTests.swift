import ProxyRules
import Testing

@Suite struct ShadowingTests {
  static let scenarios: [(rules: [HTTPRule], shadowed: [UInt32: UInt32])] = [
    (HTTPRuleMatcherTests.example.rules, [12: 11]),
    ([.init(id: 1, path: "/a"), .init(id: 2)], [1: 2]),
    ([.init(id: 1, path: "/a"), .init(id: 2, path: "/(a)")], [2: 1]),
    ([.init(id: 1, path: "/a"), .init(id: 2, path: "/b")], [:]),
    ([.init(id: 1, path: "/a"), .init(id: 2, host: "h")], [:]),
    ([.init(id: 1, headers: ["X"]), .init(id: 2, headers: ["x", "Y"])], [2: 1]),
    ([.init(id: 1, headers: ["X: 1"]), .init(id: 2, headers: ["X: 2"])], [:]),
    ([.init(id: 1, headerMatches: [.init(name: "X", value: "1", mismatch: .add)]), .init(id: 2)], [:]),
  ]

  @Test(arguments: scenarios)
  func shadowed(_ scenario: (rules: [HTTPRule], shadowed: [UInt32: UInt32])) throws {
    let found = try HTTPRuleSet(id: 1, rules: scenario.rules).shadowedRules()
    #expect(Dictionary(uniqueKeysWithValues: found.map { ($0.ruleID, $0.shadowedBy) }) == scenario.shadowed)
  }
}
