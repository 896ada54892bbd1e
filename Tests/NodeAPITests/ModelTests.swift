import JSON
import Testing

@testable import NodeAPI

@Suite struct ModelTests {
  private func survives<Model: NodeModel>(_ model: Model) throws -> Bool {
    try Model(decoding: JSONCursor(JSONValue(parsing: model.json.serialized()))) == model
  }

  @Test func everyModelSurvivesTheWay() throws {
    #expect(
      try survives(
        AgentStatus(
          version: "0.1", nodeName: "n", pid: 7, startedAt: "2024-01-01T00:00:00Z", ready: true,
          components: [.init(name: "Hubble", ok: true, message: "OK")], endpointCount: 1, identityCount: 2,
          policyCount: 3, policyRevision: 4)))
    #expect(
      try survives(
        EndpointModel(
          id: 1, namespace: "n", pod: "p", labels: ["k8s:app": "x"], identity: 256, ipv4: "10.0.0.1", ipv6: nil,
          ifname: "mlt1", state: .waitingForIdentity, enforcesIngress: true, enforcesEgress: false,
          namedPorts: ["web=80/TCP"], listening: [])))
    #expect(try survives(IdentityModel(id: .max, labels: ["reserved:world": ""], endpointCount: 0)))
    #expect(
      try survives(
        CNIRequest(
          command: "ADD", containerID: "c", netns: "/n", ifname: "eth0", args: ["K8S_POD_NAME": "p"],
          config: ["cniVersion": "1.1.0"])))
    #expect(
      try survives(
        PolicyStatus(
          kind: "CiliumNetworkPolicy", namespace: "n", name: "p", state: .partly,
          problems: [.init(path: "spec.ingress[0].fromRequires", message: "not supported")], endpointCount: 2,
          revision: 9)))
    #expect(
      try survives(
        TraceRequest(from: "n/a", to: "n/b", port: 80, method: "GET", path: "/", headers: ["x": "y"])))
    #expect(try survives(TraceRequest(from: "n/a", to: "10.0.0.1", port: 53, protocol: "UDP", query: "a.b")))
    #expect(
      try survives(
        TraceResult(
          verdict: .denied,
          steps: [
            .init(stage: "egress", verdict: .allowed, reason: "r", rule: RuleCitation(object: "o", path: "p")),
            .init(stage: "ingress", verdict: .denied, reason: "no rule allows it", rule: nil),
          ])))
  }

  @Test func errorsNameTheField() throws {
    let error = try #require(throws: FieldError.self) {
      try EndpointModel(decoding: JSONCursor(["namespace": "n", "pod": "p", "state": "sleeping", "id": 1]))
    }
    #expect(error.path == "state" && error.message.contains("sleeping"))
    #expect(throws: FieldError.self) { try IdentityModel(decoding: JSONCursor(["id": -1])) }
  }
}
