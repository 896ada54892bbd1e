import JSON
import Testing

@testable import PolicyLint

/// A policy's spec (or whole documents), and what must be said of it: `LINE CHECK PATH`, in the order of the report.
struct LintCase: CustomTestStringConvertible {
  let testDescription: String
  let text: String
  let expected: [String]

  /// - Parameter spec: from line 5 on, indented by two.
  init(_ name: String, spec: String, _ expected: String...) {
    let body = spec.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }.joined(separator: "\n")
    self.init(
      name, "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec:\n" + body, expected)
  }

  init(_ name: String, _ text: String, _ expected: [String]) {
    testDescription = name
    self.text = text
    self.expected = expected
  }

  static let subject = "endpointSelector: {}\n"

  static func http(_ rules: String) -> String {
    subject + "ingress:\n- toPorts:\n  - ports: [{port: \"80\", protocol: TCP}]\n    rules:\n      http:\n" + rules
  }

  static func document(_ kind: String, _ name: String, _ rest: String) -> String {
    "apiVersion: cilium.io/v2\nkind: \(kind)\nmetadata: {name: \(name)}\nspec: {\(rest)}\n"
  }

  static let all: [LintCase] = [
    LintCase("nothing to say", spec: subject + "ingress:\n- fromEndpoints: [{matchLabels: {app: a}}]"),
    LintCase(
      "labels that contradict each other",
      spec: """
        endpointSelector: {matchLabels: {app: a}, matchExpressions: [{key: k8s:app, operator: NotIn, values: [a, b]}]}
        ingress:
        - fromEndpoints:
          - matchExpressions:
            - {key: x, operator: Exists}
            - {key: x, operator: DoesNotExist}
        """,
      "5 never-matches spec.endpointSelector.matchExpressions[0]",
      "10 never-matches spec.ingress[0].fromEndpoints[0].matchExpressions[1]"),
    LintCase(
      "labels that only look so",
      spec: """
        endpointSelector: {matchExpressions: [{key: a, operator: In, values: [x, y]}, {key: a, operator: NotIn, values: [x]}]}
        ingress: [{}]
        """),
    LintCase("nobody", spec: subject + "ingress:\n- fromEndpoints: []", "7 never-matches spec.ingress[0]"),
    LintCase(
      "blocks",
      spec: subject + """
        egress:
        - toCIDRSet:
          - {cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}
          - {cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/10]}
          - {cidr: "2001:db8::/32", except: ["2001:db8::/33", "2001:db8:8000::/33"]}
        - toCIDR: [192.0.2.7/24, 192.0.2.7]
        """,
      "8 never-matches spec.egress[0].toCIDRSet[0]", "10 never-matches spec.egress[0].toCIDRSet[2]",
      "11 misleading spec.egress[1].toCIDR[0]"),
    LintCase(
      "port 0", spec: subject + "ingress:\n- toPorts: [{ports: [{port: \"0\"}]}]",
      "7 misleading spec.ingress[0].toPorts[0].ports[0].port"),
    LintCase(
      "methods", spec: http("      - {method: get}\n      - {method: \"G E\"}\n      - {method: \"GET|PUT\"}"),
      "11 never-matches spec.ingress[0].toPorts[0].rules.http[0].method",
      "12 never-matches spec.ingress[0].toPorts[0].rules.http[1].method"),
    LintCase(
      "paths",
      spec: http(
        #"""
              - {path: /a}
              - {path: '/b(\?.*)?'}
              - {path: /c/*}
              - {path: '/d?q=.*'}
              - {path: ^/e}
              - {path: f}
              - {path: 'g\bh'}
              - {path: '/i.html.*'}
              - {path: '/j[.]x.*'}
              - {path: '*'}
        """#),
      "11 query-string spec.ingress[0].toPorts[0].rules.http[0].path",
      "13 pattern spec.ingress[0].toPorts[0].rules.http[2].path",
      "14 pattern spec.ingress[0].toPorts[0].rules.http[3].path",
      "15 pattern spec.ingress[0].toPorts[0].rules.http[4].path",
      "16 never-matches spec.ingress[0].toPorts[0].rules.http[5].path",
      "17 never-matches spec.ingress[0].toPorts[0].rules.http[6].path",
      "18 pattern spec.ingress[0].toPorts[0].rules.http[7].path",
      "20 schema spec.ingress[0].toPorts[0].rules.http[9].path"),
    LintCase(
      "hosts on a port that clients name",
      spec: subject + """
        ingress:
        - toPorts:
          - ports: [{port: "9080", protocol: TCP}]
            rules:
              http:
              - {host: a}
              - {host: 'b(:9080)?'}
              - {host: c.d.*}
        """,
      "11 pattern spec.ingress[0].toPorts[0].rules.http[0].host",
      "13 pattern spec.ingress[0].toPorts[0].rules.http[2].host"),
    LintCase(
      "a request rule within another",
      spec: http(
        "      - {method: GET, path: /.*}\n      - {method: GET, path: /a.*, headers: [X]}\n      - {method: PUT}"),
      "12 shadowed spec.ingress[0].toPorts[0].rules.http[1]"),
    LintCase(
      "request rules beside a plain allow",
      spec: http("      - {method: GET}")
        + "\n- fromEndpoints: [{}]\n- toPorts: [{ports: [{port: \"79\", endPort: 81}]}]",
      "10 bypassed spec.ingress[0].toPorts[0].rules.http"),
    LintCase(
      "an allow within an allow, two that are equal, and one that is not within",
      spec: subject + """
        ingress:
        - toPorts: [{ports: [{port: "80"}]}]
        - fromEndpoints: [{}]
          toPorts: [{ports: [{port: "80", protocol: TCP}]}]
        - toPorts: [{ports: [{port: "80"}]}]
        - fromEndpoints: [{}]
        """,
      "9 shadowed spec.ingress[1].toPorts[0].ports[0]", "10 shadowed spec.ingress[2].toPorts[0].ports[0]"),
    LintCase(
      "an allow within a deny",
      spec: subject + """
        egress:
        - toCIDR: [10.1.0.0/16]
        - toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]
        egressDeny:
        - toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.2.0.0/16]}]
        - toCIDR: [10.1.2.3/32]
        """,
      "7 denied spec.egress[0]", "11 shadowed spec.egressDeny[1]"),
    LintCase(
      "no DNS", spec: subject + "egress:\n- toEndpoints: [{}]\n  toPorts: [{ports: [{port: \"80\"}]}]",
      "6 dns spec.egress"),
    LintCase(
      "DNS by another policy, and no need of it",
      document("CiliumNetworkPolicy", "a", "endpointSelector: {matchLabels: {x: y}}, egress: [{toEndpoints: [{}]}]")
        + "---\n"
        + document(
          "CiliumNetworkPolicy", "b", "endpointSelector: {matchLabels: {x: y}}, egress: [{toCIDR: [10.0.0.0/8]}]"),
      []),
    LintCase(
      "one name twice",
      document("CiliumNetworkPolicy", "a", "endpointSelector: {}, ingress: [{}]") + "---\n"
        + document("CiliumNetworkPolicy", "a, namespace: default", "endpointSelector: {}, ingress: [{}]"),
      ["8 name-clash metadata.name"]),
    LintCase("no YAML", "a: [\n", ["2 schema "]),
    LintCase(
      "decoding, in a list",
      "kind: List\nitems:\n- apiVersion: cilium.io/v2\n  kind: CiliumNetworkPolicy\n  metadata: {name: a}\n"
        + "  spec: {endpointSelector: {}, ingress: [{fromCIDR: [nowhere]}]}",
      ["6 schema items[0].spec.ingress[0].fromCIDR[0]"]),
  ]
}

@Suite struct LintTests {
  private func report(_ text: String, live: LiveCluster? = nil) -> [Finding] {
    var linter = PolicyLinter { _ in [] }
    linter.read(text, file: "f")
    return linter.report(live: live)
  }

  @Test(arguments: LintCase.all) func finds(_ scenario: LintCase) {
    let findings = report(scenario.text)
    let found = findings.map { "\($0.place.position.line) \($0.check.rawValue) \($0.place.path)" }
    #expect(found == scenario.expected, "\(findings.map(\.description).joined(separator: "\n"))")
  }

  @Test func `cites both places`() throws {
    let text = LintCase(
      "", spec: LintCase.http("      - {path: /.*}\n      - {path: '/a.*', headers: [X-Token]}")
    ).text
    let finding = try #require(report(text).first)
    #expect(
      finding.description
        == "f:12:11: warning: changes nothing: every request that it allows is allowed already by "
        + "spec.ingress[0].toPorts[0].rules.http[0] (line 11), so the header X-Token is not required "
        + "[spec.ingress[0].toPorts[0].rules.http[1]]")
    #expect(finding.json["related"]?.arrayValue?.first?["line"] == 11)
  }

  @Test func `schema problems come with their places`() {
    var linter = PolicyLinter { _ in [FieldError(path: "spec.x[0].y", message: "unknown field")] }
    linter.read("kind: Thing\nspec:\n  x:\n  - {z: 1}\n", file: "f")
    #expect(linter.report().map(\.description) == ["f:4:5: error: unknown field [spec.x[0].y]"])
    #expect(linter.counts == (0, 1))
  }
}
