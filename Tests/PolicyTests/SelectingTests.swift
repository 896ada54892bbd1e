import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

/// Which policies close a subject, also after changes, for those who name them in drops.
@Suite struct SelectingTests {
  private static let web = NumericIdentity(rawValue: 1000)

  private func document(_ name: String, _ spec: JSONValue) throws -> PolicyDocument {
    var spec = spec
    spec["endpointSelector"] = ["matchLabels": ["app": "web"]]
    return PolicyDocument(try CiliumNetworkPolicy(policy(name, spec: spec)))
  }

  @Test func `who closes a subject follows the policies`() throws {
    var cluster = Cluster()
    cluster.add("default", "web", ["app": "web"])
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(cluster.snapshot([])))
    func closing(_ direction: Direction) -> [String] {
      compiler.policies(closing: Self.web, direction).map(\.name)
    }
    func apply(_ documents: [PolicyDocument], removing: [PolicyDocument] = []) {
      var delta = PolicyDelta()
      delta.changedPolicies = documents
      delta.removedPolicies = Set(removing.map(\.key))
      _ = compiler.update(delta)
    }
    _ = compiler.takeReselected()
    let (a, b, c) = (
      try document("a", ["ingress": [[:]]]), try document("b", ["ingress": [[:]], "egress": [[:]]]),
      try document("c", ["egressDeny": [[:]], "enableDefaultDeny": ["ingress": false, "egress": false]])
    )
    apply([b, a, c])
    #expect(closing(.ingress) == ["a", "b"] && closing(.egress) == ["b"])
    #expect(compiler.takeReselected() == [Self.web] && compiler.takeReselected().isEmpty)
    // The map stays as it is, and yet somebody else closes it.
    apply([], removing: [a])
    #expect(closing(.ingress) == ["b"] && compiler.takeReselected() == [Self.web])
    apply([], removing: [b])
    #expect(closing(.ingress).isEmpty && closing(.egress).isEmpty)
  }
}
