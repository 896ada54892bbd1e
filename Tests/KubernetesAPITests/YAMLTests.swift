import JSON
import Testing

@testable import KubernetesAPI

@Suite struct YAMLTests {
  @Test(
    arguments: [
      ("a: 1", ["a": 1]), ("a: '1'", ["a": "1"]), ("a: yes", ["a": true]), ("a: ~", ["a": .null]),
      ("a: 1.5", ["a": 1.5]),
      ("a: 0x10", ["a": 16]), ("80: b", ["80": "b"]), ("a: 2001-01-01", ["a": "2001-01-01"]), ("a: ''", ["a": ""]),
      (#"{"a": ["b\n"]}"#, ["a": ["b\n"]]), ("a: 1.2.3.4", ["a": "1.2.3.4"]),
      ("x: &x {b: 1, c: 2}\ny: {<<: *x, c: 3}", ["x": ["b": 1, "c": 2], "y": ["b": 1, "c": 3]]),
    ] as [(String, JSONValue)])
  func values(_ text: String, _ expected: JSONValue) throws {
    #expect(try yaml(text) == expected)
  }

  @Test func documents() throws {
    #expect(try YAMLDocument.parse("---\na: 1\n---\n---\nb: 2\n").map(\.value) == [["a": 1], ["b": 2]])
  }

  @Test(arguments: ["a: [", "a: 1\na: 2", "a: *unknown", "? [a]\n: b", "\ta: b", "a: .inf"])
  func refuses(_ text: String) {
    #expect(throws: YAMLError.self) { try YAMLDocument.parse(text) }
  }

  @Test func aliasesCanNotGrowWithoutBounds() {
    var text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    for level in 1...9 {
      let references = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
      text += "a\(level): &a\(level) [\(references)]\n"
    }
    #expect(throws: YAMLError.self) { try YAMLDocument.parse(text) }
  }

  @Test(arguments: [
    ("", "1:1"), ("spec", "2:1"), ("spec.ingress", "5:3"), ("spec.ingress[0]", "6:5"),
    ("spec.ingress[0].fromEndpoints", "6:5"), ("spec.ingress[1].toPorts[0].ports[0].port", "9:9"),
    ("spec.endpointSelector.matchLabels[k8s:app]", "4:19"), ("spec.ingress[1].toPorts[0].ports[0].endPort", "9:9"),
    ("spec.ingress[7]", "5:3"),
  ])
  func locations(_ path: String, _ expected: String) throws {
    let text = """
      kind: CiliumNetworkPolicy
      spec:
        endpointSelector:
          matchLabels: {"k8s:app": a}
        ingress:
        - fromEndpoints: [{}]
        - toPorts:
          - ports:
            - port: "80"
      """
    let document = try #require(YAMLDocument.parse(text).first)
    #expect(document.locations[path].description == expected)
  }
}
