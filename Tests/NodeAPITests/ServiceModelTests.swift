import JSON
import NodeAPI
import Testing

struct ServiceModelTests {
  @Test func whatIsWrittenIsRead() throws {
    let model = ServiceModel(
      namespace: "default", name: "web", type: "NodePort", algorithm: "maglev", affinity: 10800,
      frontends: [
        .init(
          address: "10.96.0.10", port: 80, protocol: "TCP", kinds: ["ClusterIP"], servicePort: 80, number: 7,
          externalNumber: 0,
          backends: ["10.0.0.1:8080"], externalBackends: [])
      ],
      backends: [
        .init(
          address: "10.0.0.1", port: 8080, servicePort: 80, protocol: "TCP", state: "ready", isLocal: true, node: "a",
          zone: nil, weight: 100, number: 9)
      ],
      traffic: [
        .init(
          port: 80, protocol: "TCP", packetsToBackends: 1, bytesToBackends: 2, packetsToClients: 3, bytesToClients: 4)
      ],
      problems: [.init(path: "spec.externalIPs[0]", message: "taken")], refusal: "martlet_services is full")
    let text = model.json.text()
    #expect(try ServiceModel(decoding: JSONCursor(JSONValue(parsing: text))) == model)
  }
}
