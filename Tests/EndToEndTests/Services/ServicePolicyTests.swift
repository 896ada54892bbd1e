import JSON
import Testing

private let servers: Set<String> = ["web-1", "web-2", "web-3"]

/// Policies judge the backend: what a Service is called and which port it has is nothing to them.
extension EndToEnd.ServiceTests {
  @Test func `a policy of the server sees the client behind the Service`() throws {
    let node = try SharedNode.node
    try node.runProber("stranger", labels: "app=stranger")
    let policy = PolicyCase(
      "",
      spec: """
        endpointSelector: {matchLabels: {app: web}}
        ingress:
          - fromEndpoints: [{matchLabels: {app: client}}]
            toPorts: [{ports: [{port: "8080", protocol: TCP}, {port: "8083", protocol: TCP}, {port: "5301", protocol: UDP}]}]
        """
    ).manifest
    try node.apply(policy)
    for family in Family.allCases {
      let address = try node.clusterIP("web", family)
      let allowed = try node.ask(address, 80, from: .pod("client"), times: 30)
      #expect(allowed.names == servers, "\(allowed)")
      let refused = try node.ask(address, 80, from: .pod("stranger"), ["timeout": 0.3])
      #expect(refused.names == ["ETIMEDOUT"], "\(refused)")
      // What is said of the Service's address is what becomes of packets to it.
      for (pod, port, status) in [("client", "80", Int32(0)), ("stranger", "80", 1), ("client", "81", 1)] {
        let told = try node.martlet(
          "policy", "trace", "--from", pod, "--to", address, "--port", "\(port)/TCP")
        #expect(told.status == status && told.text.contains("service default/web"), "\(pod) \(port): \(told)")
      }
      // The Service's port 81 is their port 9000, which nobody may use.
      let otherPort = try node.ask(address, 81, from: .pod("client"), ["timeout": 0.3])
      #expect(otherPort.names == ["ETIMEDOUT"], "\(otherPort)")
      // Only one of the servers has port 5301.
      let datagrams = try node.ask(address, 53, .udp, from: .pod("client"), times: 12, ["timeout": 0.1])
      #expect(datagrams.names == ["web-1", "ETIMEDOUT"], "\(datagrams)")
    }
    try node.delete(policy)
    #expect(try node.ask(try node.clusterIP("web", .ipv4), 80, from: .pod("stranger"), times: 30).names == servers)
  }

  @Test func `a policy of the client sees the server behind the Service`() throws {
    let node = try SharedNode.node
    let policy = PolicyCase(
      "",
      spec: """
        endpointSelector: {matchLabels: {app: client}}
        egress: [{toEndpoints: [{matchLabels: {app: web}}], toPorts: [{ports: [{port: "8080", protocol: TCP}]}]}]
        """
    ).manifest
    try node.apply(policy)
    for family in Family.allCases {
      // web-3 has another port behind that of the Service.
      let tally = try node.ask(
        try node.clusterIP("web", family), 80, from: .pod("client"), times: 24, ["timeout": 0.1])
      #expect(tally.names == ["web-1", "web-2", "ETIMEDOUT"], "\(tally)")
      let told = try node.martlet(
        "policy", "trace", "--from", "client", "--to", try node.clusterIP("web", family), "--port", "80/TCP")
      #expect(
        told.status == 1 && told.text.contains("2 of 3 backends") && told.text.contains("1 of 3 backends")
          && told.text.contains("verdict: allowed or denied"), "\(told)")
    }
    try node.delete(policy)
  }

  /// Through the proxy, which both ends see nothing of.
  @Test func `an HTTP rule judges requests to a Service`() throws {
    let node = try SharedNode.node
    let policy = PolicyCase(
      "",
      spec: """
        endpointSelector: {matchLabels: {app: web}}
        ingress:
          - fromEndpoints: [{matchLabels: {app: client}}]
            toPorts:
              - ports: [{port: "8080", protocol: TCP}, {port: "8083", protocol: TCP}]
                rules: {http: [{method: GET, path: "/right"}]}
        """
    ).manifest
    try node.apply(policy)
    for family in Family.allCases {
      let address = try node.clusterIP("web", family)
      let allowed = try node.ask(address, 80, from: .pod("client"), times: 30, ["path": "/right"])
      #expect(allowed.names == servers, "\(allowed)")
      #expect(allowed.peers == ["\(address) 80"], "\(allowed)")
      #expect(allowed.clients == [try node.address(of: .pod("client"), family)], "\(allowed)")
      let refused = try node.ask(address, 80, from: .pod("client"), times: 5, ["path": "/wrong"])
      #expect(refused.names == ["403"], "\(refused)")
      for code: Int64 in [200, 403] {
        let isTold = try eventually(within: 20) {
          try node.tells(of: "web", client: family) {
            $0[path: "l7", "http", "code"] == .integer(code)
          }
        }
        #expect(isTold, "\(family) \(code)")
      }
    }
    try node.delete(policy)
  }
}
