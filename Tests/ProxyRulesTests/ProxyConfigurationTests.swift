import JSON
import ProxyRules
import Testing

@Suite struct ProxyConfigurationTests {
  static let example = ProxyConfiguration(
    generation: 7,
    ruleSets: [
      RuleSet(HTTPRuleMatcherTests.example),
      RuleSet(
        id: 2,
        rules: .http([
          HTTPRule(
            id: 13, host: "a", headers: ["X: y"],
            headerMatches: [.init(name: "A"), .init(name: "B", value: "c", mismatch: .replace)])
        ])),
      RuleSet(id: 3, rules: .http([])),
      RuleSet(id: 4, rules: .dns([NameRule(id: 13, pattern: DNSNamePattern("*.example.com"))])),
    ],
    authors: [
      10: RuleAuthor(
        kind: "CiliumNetworkPolicy", namespace: "default", name: "l7-rule",
        path: "spec.ingress[0].toPorts[0].rules.http[0]"),
      13: RuleAuthor(kind: "CiliumClusterwideNetworkPolicy", name: "all", path: "spec.ingress[1]"),
    ])

  @Test func survivesItsDocument() throws {
    let text = ProxyConfigurationTests.example.json.serialized(pretty: true)
    #expect(try ProxyConfiguration(parsing: text) == ProxyConfigurationTests.example)
  }

  static let refused: [(document: String, error: String)] = [
    ("[]", "must be an object, is array"),
    ("{}", "generation: required"),
    (#"{"generation": -1}"#, "generation: must not be negative"),
    (#"{"generation": 1, "rules": []}"#, "rules: unknown field"),
    (#"{"generation": 1, "ruleSets": [{"id": 1, "rules": [], "x": 1}]}"#, "ruleSets[0].x: unknown field"),
    (
      #"{"generation": 1, "ruleSets": [{"id": 1, "rules": []}, {"id": 1, "rules": []}]}"#,
      "ruleSets[1]: rule set 1 occurs twice"
    ),
    (
      #"{"generation": 1, "ruleSets": [{"id": 4294967296, "rules": []}]}"#,
      "ruleSets[0].id: must be a number from 0 to 4294967295"
    ),
    (
      #"{"generation": 1, "ruleSets": [{"id": 1, "kind": "ftp", "rules": []}]}"#,
      "ruleSets[0].kind: must be one of http, dns, tls"
    ),
    (
      #"{"generation": 1, "ruleSets": [{"id": 1, "kind": "dns", "rules": [{"id": 1, "path": "x"}]}]}"#,
      "ruleSets[0].rules[0].path: unknown field"
    ),
    (#"{"generation": 1, "ruleSets": [{"id": 1}]}"#, "ruleSets[0].rules: required"),
    (
      #"{"generation": 1, "ruleSets": [{"id": 1, "rules": [{"id": 1, "headerMatches": [{"name": "a", "mismatch": "X"}]}]}]}"#,
      "ruleSets[0].rules[0].headerMatches[0].mismatch: must be one of LOG, ADD, DELETE, REPLACE"
    ),
    (
      #"{"generation": 1, "authors": {"01": {"kind": "a", "name": "b", "path": "c"}}}"#,
      "authors.01: key must be a rule id"
    ),
    (
      #"{"generation": 1, "authors": {"1": {"kind": "a", "name": "b", "path": "c", "line": 0}}}"#,
      "authors.1.line: unknown field"
    ),
    ("{", "invalid JSON at byte 1: expected a key"),
  ]

  @Test(arguments: refused)
  func refuses(_ scenario: (document: String, error: String)) {
    #expect {
      try ProxyConfiguration(parsing: Array(scenario.document.utf8))
    } throws: {
      "\($0)" == scenario.error
    }
  }

  @Test func tableServesEachSet() throws {
    let table = try RuleSetTable(ProxyConfigurationTests.example)
    #expect(table.generation == 7)
    #expect(table.http(1)?.decide(.init(path: "/")) == .allow(ruleID: 10))
    #expect(table.http(3)?.decide(.init(path: "/")) == .allow(ruleID: nil))
    #expect(table.http(4) == nil)
    #expect(table.kind(4) == .dns && table.dns(4)?.decide("a.example.com") == .allow(ruleID: 13))
    #expect(table.dns(1) == nil && table.kind(5) == nil)
    #expect(table.authors[10]?.name == "l7-rule")
    #expect(RuleSetTable.empty.http(1) == nil)
    var changed = ProxyConfigurationTests.example
    changed.generation = 8
    changed.ruleSets[0].rules = .http(Array(HTTPRuleMatcherTests.example.rules.dropFirst()))
    let next = try RuleSetTable(changed, reusing: table)
    #expect(next.http(1)?.decide(.init(path: "/")) == .deny)
  }
}
