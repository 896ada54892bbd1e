import Testing

extension EndToEnd {
  /// A policy is edited while a connection lives: its next request meets the new one.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("ratings", labels: "app=ratings")
      try node.runPod("sleep", labels: "app=sleep")
    })
  struct KeepaliveTests {
    private func manifest(_ ingress: String) -> String {
      PolicyCase("", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [\(ingress)]").manifest
    }

    private func http(_ rules: String) -> String {
      manifest(
        "{fromEndpoints: [{matchLabels: {app: sleep}}], "
          + "toPorts: [{ports: [{port: \"9080\", protocol: TCP}], rules: {http: [\(rules)]}}]}")
    }

    private var allows: String { manifest("{fromEndpoints: [{matchLabels: {app: sleep}}]}") }
    private var denies: String { manifest("{fromEndpoints: [{matchLabels: {app: other}}]}") }

    private func connection(_ node: Node, _ family: Family) throws -> KeptConnection {
      try KeptConnection(on: node, from: .pod("sleep"), to: .pod("ratings"), family)
    }

    @Test(arguments: Family.allCases) func `L4, denied and allowed again`(_ family: Family) throws {
      let node = try SharedNode.node
      try node.apply(allows)
      let kept = try connection(node, family)
      #expect(try kept.request() == "200")
      try node.apply(denies)
      #expect(try kept.request() == "none")
      try node.apply(allows)
      // The kernel sends the lost request again by itself.
      let arrived = try eventually(within: 20, every: 1000) { try kept.late() == "200" }
      #expect(arrived)
      #expect(try kept.request() == "200")
      try node.delete(allows)
      #expect(try kept.request() == "200")
    }

    @Test(arguments: Family.allCases) func `HTTP, in both directions`(_ family: Family) throws {
      let node = try SharedNode.node
      try node.apply(http("{method: GET}"))
      let kept = try connection(node, family)
      #expect(try kept.request("GET") == "200")
      #expect(try kept.request("POST") == "403")
      try node.apply(http("{method: POST}"))
      #expect(try kept.request("GET") == "403")
      #expect(try kept.request("POST") != "403")
      try node.apply(http("{method: GET}"))
      #expect(try kept.request("POST") == "403")
      #expect(try kept.request("GET") == "200")
      try node.apply(denies)
      #expect(["none", "closed"].contains(try kept.request("GET")), "L4 denial holds for the proxy's connections too")
      try node.delete(denies)
    }

    @Test(arguments: Family.allCases) func `rules that come and go`(_ family: Family) throws {
      let node = try SharedNode.node
      try node.apply(allows)
      let direct = try connection(node, family)
      #expect(try direct.request("POST") != "403")
      try node.apply(http("{method: GET}"))
      // A connection that the proxy has not seen from its start can not be judged request by request: it ends.
      let answer = try direct.request("POST")
      #expect(["403", "none", "closed"].contains(answer), "\(answer)")
      let judged = try connection(node, family)
      #expect(try judged.request("POST") == "403")
      try node.apply(allows)
      let afterwards = try judged.request("POST")
      #expect(afterwards != "403", "\(afterwards)")
      let fresh = try connection(node, family)
      #expect(try fresh.request("POST") != "403")
      try node.delete(allows)
    }
  }
}
