import Addressing
import KubernetesAPI
import Services
import Testing

/// Which Service answers at an address, for whom, and who is behind it.
@Suite struct TranslationTests {
  struct Case: CustomTestStringConvertible {
    let testDescription: String
    let address: String
    let port: UInt16
    var transport = TransportProtocol.tcp
    var isNode = false
    /// An address; nil for a client of the cluster.
    var client: String?
    /// nil: no Service answers. Else its name, and its backends or why there are none.
    let expected: String?
  }

  private static let cases = [
    Case(
      testDescription: "ClusterIP", address: "10.96.0.10", port: 80,
      expected: "default/web ClusterIP: 10.0.0.1:8080 10.0.0.2:8080"),
    Case(testDescription: "another port", address: "10.96.0.10", port: 81, expected: nil),
    Case(testDescription: "another protocol", address: "10.96.0.10", port: 80, transport: .udp, expected: nil),
    Case(testDescription: "a pod's address", address: "10.0.0.1", port: 8080, expected: nil),
    Case(
      testDescription: "ClusterIP, asked for by the world", address: "10.96.0.10", port: 80, client: "192.0.2.1",
      expected: nil),
    Case(
      testDescription: "NodePort at a node", address: "192.168.0.1", port: 30080, isNode: true,
      expected: "default/web NodePort: 10.0.0.1:8080 10.0.0.2:8080"),
    Case(
      testDescription: "NodePort, asked for by the world", address: "192.168.0.1", port: 30080, isNode: true,
      client: "192.0.2.1", expected: "default/web NodePort: 10.0.0.1:8080 10.0.0.2:8080"),
    Case(testDescription: "NodePort elsewhere", address: "192.0.2.9", port: 30080, expected: nil),
    Case(
      testDescription: "an external address", address: "203.0.113.5", port: 80, client: "192.0.2.1",
      expected: "default/web ExternalIP: 10.0.0.1:8080 10.0.0.2:8080"),
    Case(
      testDescription: "without backends", address: "10.96.0.11", port: 80,
      expected: "default/empty ClusterIP: it has no backend"),
  ]

  @Test(arguments: cases) func `an address is a Service's`(_ scenario: Case) throws {
    var settings = ServiceSettings()
    settings.nodePorts = 30000...32767
    var book = ServiceBook(node: NodeFacts(name: "a"), settings: settings)
    book.apply(
      .replaced([
        try Objects.service(
          "web", type: "NodePort", spec: #""externalIPs":["203.0.113.5"]"#,
          ports: #"{"name":"http","port":80,"protocol":"TCP","nodePort":30080}"#),
        try Objects.service("empty", clusterIPs: ["10.96.0.11"]),
      ]))
    let endpoints = [Objects.endpoint("10.0.0.1", node: "a"), Objects.endpoint("10.0.0.2")]
    book.apply(
      .replaced([
        try Objects.slice("s", of: "web", endpoints, port: #"{"name":"http","port":8080,"protocol":"TCP"}"#)
      ]))
    let key = FrontendKey(
      address: try #require(IPAddress(scenario.address)), port: scenario.port, protocol: scenario.transport)
    let client = try scenario.client.map { ServiceTranslation.Client.outside(try #require(IPAddress($0))) } ?? .inside
    let found = book.translation(of: key, isNode: scenario.isNode, for: client)
    let text = found.map { found in
      let outcome =
        switch found.outcome {
        case .nobody(let reason): reason
        case .backends(let backends): backends.map { "\($0.address):\($0.port)" }.joined(separator: " ")
        }
      return "\(found.service) \(found.kinds.names.joined(separator: " ")): \(outcome)"
    }
    #expect(text == scenario.expected)
    #expect(
      book.port(named: "http", at: key.address, .tcp)
        == (["10.96.0.10", "203.0.113.5"].contains(scenario.address) ? 80 : nil))
  }
}
