import JSON
import Testing

@testable import ControlPlane

/// Objects whose form is right and whose meaning is not, refused with 422 and the field as Kubernetes does.
@Suite struct MeaningTests {
  private func causes(_ group: String, _ version: String, _ plural: String, _ body: JSONValue) async throws -> [String]
  {
    let server = try makeServer()
    let root = group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
    var body = body
    body["metadata"] = ["name": "a"]
    let answer = try await server.send(.post, "\(root)/namespaces/default/\(plural)", body)
    if answer.code == 201 { return [] }
    #expect(answer.code == 422, "\(answer.body)")
    return (answer.body[path: "details", "causes"]?.arrayValue ?? []).map {
      "\($0["field"]?.stringValue ?? ""): \($0["message"]?.stringValue ?? "")"
    }
  }

  private static let peers: [(peer: JSONValue, cause: String?)] = [
    (["ipBlock": ["cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]]], nil),
    (["podSelector": [:], "namespaceSelector": [:]], nil),
    (
      ["ipBlock": ["cidr": "10.0.0.0/8"], "podSelector": [:]],
      ": Forbidden: may not specify both ipBlock and another peer"
    ),
    (
      ["ipBlock": ["cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]]],
      ".ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"
    ),
    (
      ["ipBlock": ["cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]]],
      ".ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`"
    ),
    ([:], ": Required value: must specify a peer"),
    (
      ["podSelector": ["matchExpressions": [["key": "a", "operator": "In"]]]],
      ".podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
    ),
    (
      ["namespaceSelector": ["matchExpressions": [["key": "a", "operator": "Exists", "values": ["x"]]]]],
      ".namespaceSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or "
        + "'DoesNotExist'"
    ),
    (
      ["podSelector": ["matchExpressions": [["key": "a", "operator": "Is", "values": ["x"]]]]],
      ".podSelector.matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator"
    ),
  ]

  @Test(arguments: peers.indices) func peersOfNetworkPolicies(_ index: Int) async throws {
    let (peer, cause) = MeaningTests.peers[index]
    let found = try await causes(
      "networking.k8s.io", "v1", "networkpolicies", ["spec": ["podSelector": [:], "ingress": [["from": [peer]]]]])
    #expect(found == (cause.map { ["spec.ingress[0].from[0]\($0)"] } ?? []))
  }

  @Test(
    arguments: [
      (#"{"port": 80, "endPort": 90}"#, nil), (#"{"port": "http"}"#, nil), (#"{"port": 80}"#, nil),
      (#"{"port": 80, "endPort": 79}"#, "endPort: Invalid value: 79: must be greater than or equal to `port`"),
      (#"{"endPort": 79}"#, "endPort: Required value: may not be specified when `port` is not specified"),
      (
        #"{"port": "http", "endPort": 79}"#,
        "endPort: Invalid value: 79: may not be specified when `port` is non-numeric"
      ),
      (#"{"port": 70000}"#, "port: Invalid value: 70000: must be between 1 and 65535, inclusive"),
      (#"{"port": 0}"#, "port: Invalid value: 0: must be between 1 and 65535, inclusive"),
    ] as [(String, String?)])
  func portsOfNetworkPolicies(_ port: String, _ cause: String?) async throws {
    let found = try await causes(
      "networking.k8s.io", "v1", "networkpolicies",
      ["spec": ["podSelector": [:], "egress": [["ports": [try json(port)]]]]])
    #expect(found == (cause.map { ["spec.egress[0].ports[0].\($0)"] } ?? []))
  }

  @Test func ciliumPoliciesSaySomething() async throws {
    func refused(_ body: JSONValue) async throws -> Bool {
      try await !causes("cilium.io", "v2", "ciliumnetworkpolicies", body).isEmpty
    }
    let rule: JSONValue = ["endpointSelector": [:], "ingress": [[:]]]
    #expect(try await !refused(["spec": rule]))
    #expect(try await !refused(["specs": [rule]]))
    #expect(try await refused([:]))
    #expect(try await refused(["specs": []]))
    #expect(
      try await refused([
        "spec": ["endpointSelector": ["matchExpressions": [["key": "a", "operator": "In"]]], "ingress": [[:]]]
      ]))
  }

  @Test func configMapsHaveALimit() async throws {
    let large = JSONValue.string(String(repeating: "x", count: 1 << 20))
    #expect(try await causes("", "v1", "configmaps", ["data": ["a": large]]) == [])
    #expect(try await !causes("", "v1", "configmaps", ["data": ["a": large, "b": "x"]]).isEmpty)
  }

  @Test func kindsThatNothingActsOnAreToldOf() async throws {
    let server = try makeServer()
    let ingress: JSONValue = ["metadata": ["name": "a"], "spec": [:]]
    let answer = await server.respond(
      to: APIRequest(
        method: .post, path: ["apis", "networking.k8s.io", "v1", "namespaces", "default", "ingresses"],
        contentType: "application/json", body: ingress.serialized()))
    #expect(answer.code == 201)
    #expect(answer.warnings == ["Ingress is stored, but nothing in this version of Martlet acts on it"])
  }
}
