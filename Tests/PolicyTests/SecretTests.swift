import JSON
import KubernetesAPI
import Testing

@testable import Policy

/// Values of headers that are in Secrets: followed, missing, unusable, and never told.
@Suite struct SecretTests {
  private static let name = PolicyContext.SecretName(namespace: "default", name: "tenant")

  private func policy(_ match: JSONValue) throws -> CiliumNetworkPolicy {
    let rule: JSONValue = [
      "toPorts": [["ports": [["port": "80", "protocol": "TCP"]], "rules": ["http": [["headerMatches": [match]]]]]]
    ]
    return try CiliumNetworkPolicy(
      decoding: JSONCursor([
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": ["name": "p", "namespace": "default", "uid": "u", "generation": 1, "resourceVersion": "1"],
        "spec": ["endpointSelector": [:], "ingress": [rule]],
      ]))
  }

  private func secret(_ data: JSONValue) throws -> Secret {
    try Secret(
      decoding: JSONCursor([
        "apiVersion": "v1", "kind": "Secret",
        "metadata": ["name": "tenant", "namespace": "default", "uid": "s", "resourceVersion": "1"], "stringData": data,
      ]))
  }

  private func values(_ document: PolicyDocument?) -> [String] {
    (document?.sections.flatMap(\.rules).flatMap(\.terms) ?? []).flatMap { term -> [String] in
      guard case .http(let terms) = term.effect else { return [] }
      return terms.flatMap(\.rule.headerMatches).map(\.value)
    }
  }

  @Test func `the value follows the Secret`() throws {
    var book = PolicyBook(node: "n")
    let first = book.apply(.cilium(.applied(try policy(["name": "X", "secret": ["name": "tenant"]]))))
    #expect(values(first?.changedPolicies.first) == [])
    #expect(first?.changedPolicies.first?.issues.first?.isMissing == true)
    #expect(book.secretNames == [Self.name])
    for value in ["one", "two"] {
      let next = book.apply(.secret(Self.name, .applied(try secret(["token": .string(value)]))))
      #expect(values(next?.changedPolicies.first) == [value] && next?.changedPolicies.first?.issues == [])
    }
    #expect(book.apply(.secret(Self.name, .applied(try secret(["token": "two"])))) == nil, "nothing changed")
    let gone = book.apply(.secret(Self.name, .deleted(ObjectKey(kind: "Secret", namespace: "default", name: "tenant"))))
    #expect(gone?.changedPolicies.count == 1 && values(gone?.changedPolicies.first) == [])
  }

  static let unusable: [JSONValue] = [[:], ["a": "x", "b": "hidden"], ["a": ""], ["a": "hidden\r\nY: z"]]

  @Test(arguments: unusable) func `a Secret that gives no value allows nothing, and is not told`(_ data: JSONValue)
    throws
  {
    var book = PolicyBook(node: "n")
    _ = book.apply(.cilium(.applied(try policy(["name": "X", "secret": ["name": "tenant"], "mismatch": "ADD"]))))
    let found = book.apply(.secret(Self.name, .replaced([try secret(data)])))
    let document = try #require(found?.changedPolicies.first)
    #expect(values(document) == [] && document.issues.count == 1)
    #expect(document.issues.allSatisfy { !$0.description.contains("hidden") })
  }

  @Test func `the value beside it stands in`() throws {
    var book = PolicyBook(node: "n")
    let match: JSONValue = ["name": "X", "secret": ["name": "tenant"], "value": "spare", "mismatch": "ADD"]
    #expect(values(book.apply(.cilium(.applied(try policy(match))))?.changedPolicies.first) == ["spare"])
    #expect(
      values(book.apply(.secret(Self.name, .applied(try secret(["a": "real"]))))?.changedPolicies.first) == ["real"])
  }
}
