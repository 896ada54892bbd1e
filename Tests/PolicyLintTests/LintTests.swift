import JSON
import KubernetesAPI
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
        endpointSelector: {matchExpressions: [{key: a, operator: In, values: [x, z]}, {key: a, operator: NotIn, values: [x]}]}
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
      document("CiliumNetworkPolicy", "a", "endpointSelector: {matchLabels: {x: z}}, egress: [{toEndpoints: [{}]}]")
        + "---\n"
        + document(
          "CiliumNetworkPolicy", "b", "endpointSelector: {matchLabels: {x: z}}, egress: [{toCIDR: [10.0.0.0/8]}]"),
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
    #expect(linter.counts.description == "0 policies, 1 skipped (1 Thing)")
  }

  @Test func `what was read is counted, with the kinds that nothing looks at`() {
    var linter = PolicyLinter { _ in nil }
    for kind in ["NetworkPolicy", "Service", "Ingress", "Deployment", "Ingress"] {
      linter.read("apiVersion: v1\nkind: \(kind)\nmetadata: {name: a}\nspec: {podSelector: {}}\n", file: "f")
    }
    linter.read("metadata: {name: a}\n", file: "f")
    let expected = "1 policy, 1 object that policies refer to, 4 skipped (1 without kind, 1 Deployment, 2 Ingress)"
    #expect(linter.counts.description == expected)
  }

  @Test(arguments: [
    ("CiliumNetworkPolcy", "cilium.io/v2", "; did you mean CiliumNetworkPolicy?"),
    ("networkpolicy", "networking.k8s.io/v1", "; did you mean NetworkPolicy?"),
    ("Thing", "cilium.io/v2", ""), ("Ingress", "networking.k8s.io/v1", nil), ("Thing", "example.org/v1", nil),
  ])
  func `kinds that nobody has`(_ kind: String, _ version: String, _ hint: String?) {
    var linter = PolicyLinter { _ in nil }
    linter.read("apiVersion: \(version)\nkind: \(kind)\nmetadata: {name: p}\n", file: "f")
    let group = version.split(separator: "/")[0]
    let expected = hint.map { ["f:2:1: error: there is no kind \"\(kind)\" in \(group)\($0) [kind]"] } ?? []
    #expect(linter.report().map(\.description) == expected)
  }

  @Test(arguments: ["y", "N", "yes", "no", "on", "off", "true", "1"])
  func `label values that are no text`(_ value: String) {
    func messages(_ written: String) -> [String] {
      report(LintCase("", spec: "endpointSelector: {matchLabels: {app: \(written)}}\ningress: [{}]").text)
        .map(\.description)
    }
    let found = messages(value)
    #expect(found.count == 1 && found[0].contains("write it in quotes"), "\(found)")
    #expect(found.first?.hasSuffix("[spec.endpointSelector.matchLabels.app]") == true, "\(found)")
    #expect(messages("\"\(value)\"").isEmpty)
  }

  @Test func `a mark of the byte order is nothing`() {
    #expect(report("\u{FEFF}" + LintCase("", spec: LintCase.subject + "ingress: [{}]").text).isEmpty)
  }

  @Test func `every rule that can not be read is named, and once`() {
    let spec = """
      endpointSelector: {}
      ingress:
      - fromEndpoints: 1
      - fromEntities: [all]
      - fromCIDR: [nonsense]
      egressDeny:
      - toPorts: [{ports: [{port: "99999"}]}]
      """
    let found = report(LintCase("", spec: spec).text).map { "\($0.place.position.line) \($0.check.rawValue)" }
    #expect(found == ["7 schema", "9 schema", "11 schema"])
  }

  @Test func `a selector that can not be read hides no rule`() {
    let spec = "endpointSelector: {matchLabels: 1}\ningress:\n- fromCIDR: [nonsense]"
    #expect(report(LintCase("", spec: spec).text).map(\.place.position.line) == [5, 7])
  }

  private static let references = LintCase(
    "",
    spec: """
      endpointSelector: {}
      egress:
      - toServices: [{k8sService: {serviceName: web, namespace: default}}]
      - toCIDRSet: [{cidrGroupRef: blocks}]
      """
  ).text

  private static let group =
    "apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: blocks}\nspec: {externalCIDRs: [192.0.2.0/24]}\n"
  private static let service =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"

  /// What policies name is looked for in the files and in the cluster.
  @Test(
    arguments: [
      ([], nil, 2), ([service], nil, 1), ([service, group], nil, 0), ([], [], 2), ([], [group], 1),
      ([service], [group], 0),
    ] as [([String], [String]?, Int)])
  func references(_ files: [String], _ cluster: [String]?, _ missing: Int) throws {
    var linter = PolicyLinter { _ in [] }
    // After the policy, too: files have no order.
    linter.read(LintTests.references, file: "f")
    for (index, file) in files.enumerated() { linter.read(file, file: "g\(index)") }
    let objects = try cluster?.flatMap { try YAMLDocument.parse($0).map(\.value) }
    let findings = linter.report(referred: objects)
    #expect(findings.map(\.check) == Array(repeating: .notEnforced, count: missing), "\(findings)")
    #expect(findings.allSatisfy { $0.message.contains("no cluster was asked") == (cluster == nil) })
  }
}
