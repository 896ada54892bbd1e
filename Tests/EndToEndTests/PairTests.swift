import JSON
import Testing

extension EndToEnd {
  /// Requests that the client's egress rules and the server's ingress rules both read.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("productpage", labels: "app=productpage", role: "productpage")
      try node.runPod("reviews", labels: "app=reviews")
    })
  struct PairTests {
    private static func manifest(_ name: String, _ subject: String, _ direction: String, _ rules: String) -> String {
      """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: \(name)}
      spec:
        endpointSelector: {matchLabels: {app: \(subject)}}
        \(direction):
          - toPorts:
              - ports: [{port: "9080", protocol: TCP}]
                rules: {http: [\(rules)]}
      """
    }

    private static let policies = [
      manifest("client", "reviews", "egress", #"{path: "/(both|client)-.*"}"#),
      manifest("server", "productpage", "ingress", #"{path: "/(both|server)-.*"}"#),
    ]

    /// What is asked for, and whose rules refuse it: what the client's do the server's are not asked about.
    private static let rows: [(path: String, refusedBy: String?)] = [
      ("/both-", nil), ("/client-", "INGRESS"), ("/server-", "EGRESS"), ("/neither-", "EGRESS"),
    ]

    private func under(_ body: (Node) throws -> Void) throws {
      let node = try SharedNode.node
      for policy in Self.policies { try node.apply(policy) }
      defer { for policy in Self.policies { try? node.delete(policy) } }
      try body(node)
    }

    @Test(arguments: Family.allCases) func `both ends' rules must allow a request`(_ family: Family) throws {
      try under { node in
        for (path, side) in Self.rows {
          let status = try node.request(
            from: .pod("reviews"), to: .pod("productpage"), path: path + family.rawValue, family: family)
          #expect(status == (side == nil ? "200" : "403"), "\(path) \(family)")
        }
        for (path, side) in Self.rows {
          guard let side else { continue }
          let isNamed = try eventually(within: 20) {
            let flows = try node.martlet("observe", "--http-status", "403", "--last", "50", "-o", "json").output
            return try flows.split(separator: "\n").contains { line in
              let flow = try JSONValue(parsing: String(line))["flow"]
              let url = flow?[path: "l7", "http", "url"]?.stringValue
              return url?.hasSuffix(path + family.rawValue) == true
                && flow?["traffic_direction"]?.stringValue == side
            }
          }
          #expect(isNamed, "\(path) is refused by \(side)")
        }
      }
    }

    /// The rules of one end come and go while a connection is in use.
    @Test(arguments: Family.allCases) func `an end that says nothing of requests leaves them to the other`(
      _ family: Family
    ) throws {
      let node = try SharedNode.node
      func status(_ path: String) throws -> String? {
        try node.request(from: .pod("reviews"), to: .pod("productpage"), path: path, family: family)
      }
      try node.apply(Self.policies[1])
      #expect(try status("/server-x") == "200" && status("/client-x") == "403")
      try node.apply(Self.policies[0])
      #expect(try status("/server-x") == "403" && status("/client-x") == "403" && status("/both-x") == "200")
      try node.delete(Self.policies[1])
      #expect(try status("/server-x") == "403" && status("/client-x") == "200")
      try node.delete(Self.policies[0])
      #expect(try status("/server-x") == "200" && status("/neither-x") == "200")
    }

    @Test func `trace and why ask the rules of both ends`() throws {
      try under { node in
        func ask(_ words: String) throws -> Outcome {
          try node.onNode([Node.binary] + words.split(separator: " ").map(String.init))
        }
        let ends = ["http of default/reviews", "http of default/productpage"]
        for (path, verdicts) in [
          ("/both-", ["allowed", "allowed"]), ("/client-", ["allowed", "denied"]), ("/server-", ["denied", "allowed"]),
        ] {
          let traced = try ask(
            "policy trace --from default/reviews --to default/productpage --port 9080/TCP --path \(path) -o json")
          #expect(traced.status == (verdicts.contains("denied") ? 1 : 0), "\(traced)")
          let steps = try traced.json()["steps"]?.arrayValue ?? []
          #expect(steps.count == 4 && steps.prefix(2).allSatisfy { $0["verdict"] == "redirected" }, "\(traced)")
          #expect(steps.suffix(2).map { $0["stage"]?.stringValue } == ends, "\(traced)")
          #expect(steps.suffix(2).map { $0["verdict"]?.stringValue } == verdicts, "\(traced)")
        }
        let why = try ask("why default/reviews default/productpage:9080 GET /neither-")
        #expect(why.status == 1, "\(why)")
        for part in [
          "add this to spec.egress[0].toPorts[0].rules.http of CiliumNetworkPolicy default/client",
          "add this to spec.ingress[0].toPorts[0].rules.http of CiliumNetworkPolicy default/server",
        ] { #expect(why.output.contains(part), "\(part) is not in \(why)") }
      }
    }
  }
}
