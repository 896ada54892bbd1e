import JSON
import Testing

@testable import ControlPlane

/// What is told of an object that was not sent is what the server would refuse.
@Suite struct ObjectSchemasTests {
  static let scenarios: [(object: JSONValue, paths: [String]?)] = [
    (
      [
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "a"],
        "spec": ["endpointSelector": [:], "ingress": [[:]]],
      ], []
    ),
    (
      [
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "A_"],
        "spec": ["endpointSelector": [:], "ingres": [], "egress": [["toEntities": ["nobody"]]]],
      ], ["spec.ingres", "metadata.name", "spec.egress[0].toEntities[0]"]
    ),
    (
      ["apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": [:], "spec": ["ingress": [[:]]]],
      ["metadata.name", "spec"]
    ),
    (["apiVersion": "cilium.io/v9", "kind": "CiliumNetworkPolicy", "metadata": ["name": "a"]], ["apiVersion"]),
    (["apiVersion": "apps/v1", "kind": "Deployment"], nil),
    (["metadata": [:]], ["apiVersion", "kind"]),
  ]

  @Test(arguments: scenarios) func problems(_ scenario: (object: JSONValue, paths: [String]?)) throws {
    #expect(try ObjectSchemas().problems(scenario.object)?.map(\.path) == scenario.paths)
  }
}
