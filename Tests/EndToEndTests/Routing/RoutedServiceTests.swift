import JSON
import Testing

/// Two versions of a server behind a Service of both and one of their own each, and clients.
private func prepare(_ node: Node) throws {
  let port = "name: http, port: 9080"
  try node.apply(
    ServiceManifests.documents([
      ServiceManifests.dualStack("shop", selector: "app: shop", [port]),
      ServiceManifests.dualStack("shop-v1", selector: "app: shop, version: v1", [port]),
      ServiceManifests.dualStack("shop-v2", selector: "app: shop, version: v2", [port]),
    ]))
  for version in ["v1", "v2"] {
    try node.runProber(version, labels: "app=shop,version=\(version)", tcp: [9080], declared: ["http=9080"])
  }
  try node.runPod("client", labels: "app=client")
  try node.runPod("stranger", labels: "app=stranger")
  for service in ["shop-v1", "shop-v2"] { try node.waitForService(service, backends: 1) }
  try node.waitForService("shop", backends: 2)
}

private enum Manifest {
  static func routes(_ routes: String) -> String {
    """
    apiVersion: cilium.io/v2
    kind: CiliumEnvoyConfig
    metadata: {name: shop}
    spec:
      services: [{name: shop, namespace: default}]
      backendServices: [{name: shop-v1, namespace: default}, {name: shop-v2, namespace: default}]
      resources:
        - "@type": type.googleapis.com/envoy.config.listener.v3.Listener
          name: shop
          filter_chains:
            - filters:
                - name: envoy.filters.network.http_connection_manager
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                    stat_prefix: shop
                    route_config:
                      name: shop
                      virtual_hosts: [{name: shop, domains: ["*"], routes: [\(routes)]}]
    """
  }

  static func byHeader(_ name: String, _ value: String) -> String {
    routes(
      """
      {match: {prefix: /, headers: [{name: \(name), exact_match: "\(value)"}]}, route: {cluster: default/shop-v2}},
      {match: {prefix: /}, route: {cluster: default/shop-v1}}
      """)
  }

  static let split = routes(
    """
    {match: {prefix: /}, route: {weighted_clusters: {clusters: [
      {name: default/shop-v1, weight: 90}, {name: default/shop-v2, weight: 10}]}}}
    """)
}

extension EndToEnd {
  /// A Service whose requests the node's proxy routes.
  @Suite(.serialized, .node(prepare)) struct RoutedServiceTests {
    static let clients: [Place] = [.pod("client"), .host]

    /// Who answers, and the address at which that one sees the client; or the status of the answer.
    private func ask(
      _ node: Node, from client: Place, _ family: Family, path: String = "/", headers: [String] = []
    ) throws -> String {
      let address = try node.clusterIP("shop", family)
      let host = family == .ipv4 ? address : "[\(address)]"
      let outcome = try node.run(
        Node.requestCommand("http://\(host):9080\(path)", headers: headers, timeout: 3), at: client)
      return outcome.text
    }

    private func name(_ node: Node, from client: Place, _ family: Family, _ headers: [String] = []) throws -> String {
      String(try ask(node, from: client, family, headers: headers).prefix { $0 != " " })
    }

    /// Applies routes and waits until a request is answered as they say.
    private func follow(_ node: Node, _ manifest: String, _ headers: [String], _ expected: String) throws {
      try node.apply(manifest)
      var seen = ""
      let inForce = try eventually(within: 10) {
        seen = try name(node, from: .pod("client"), .ipv4, headers)
        return seen == expected
      }
      guard inForce else {
        let told = try node.kubectl("get", "ciliumenvoyconfig", "shop", "-o", "yaml")
        throw Failure("\(seen) answers instead of \(expected)\n\(told)\n\(node.log)")
      }
    }

    @Test(arguments: [("x-canary", "true"), ("end-user", "jason")])
    func `a header chooses the version`(_ header: String, _ value: String) throws {
      let node = try SharedNode.node
      let manifest = Manifest.byHeader(header, value)
      try follow(node, manifest, ["\(header): \(value)"], "v2")
      for client in Self.clients {
        for family in Family.allCases {
          for _ in 0..<4 {
            #expect(try name(node, from: client, family) == "v1", "\(client) \(family)")
            #expect(try name(node, from: client, family, ["\(header): \(value)"]) == "v2", "\(client) \(family)")
            #expect(try name(node, from: client, family, ["\(header): other"]) == "v1", "\(client) \(family)")
          }
        }
      }
      // The server sees the client's own address.
      for family in Family.allCases {
        let seen = try ask(node, from: .pod("client"), family)
        #expect(try seen == "v1 \(node.address(of: .pod("client"), family))")
      }
      // Without routes both versions answer again.
      try node.delete(manifest)
      let isBalanced = try eventually(within: 10) {
        try Set((0..<12).map { _ in try name(node, from: .pod("client"), .ipv4) }) == ["v1", "v2"]
      }
      #expect(isBalanced)
    }

    @Test func `a share of the requests goes to the new version`() throws {
      let node = try SharedNode.node
      try follow(node, Manifest.split, [], "v1")
      var counts: [String: Int] = [:]
      for number in 0..<200 {
        let family = Family.allCases[number % 2]
        counts[try name(node, from: .pod("client"), family), default: 0] += 1
      }
      // 20 of 200; the standard deviation is 4.2.
      #expect(Set(counts.keys) == ["v1", "v2"] && abs((counts["v2"] ?? 0) - 20) <= 17, "\(counts)")
      try node.delete(Manifest.split)
    }

    @Test func `a policy of the chosen version holds for the client itself`() throws {
      let node = try SharedNode.node
      let routes = Manifest.byHeader("x-canary", "true")
      try follow(node, routes, ["x-canary: true"], "v2")
      let policy = PolicyCase(
        "",
        spec: """
          endpointSelector: {matchLabels: {version: v2}}
          ingress:
            - fromEndpoints: [{matchLabels: {app: client}}]
              toPorts: [{ports: [{port: "9080", protocol: TCP}], rules: {http: [{method: GET, path: "/right"}]}}]
          """
      ).manifest
      try node.apply(policy)
      let canary = ["x-canary: true"]
      for family in Family.allCases {
        #expect(try ask(node, from: .pod("client"), family, path: "/right", headers: canary).hasPrefix("v2 "))
        #expect(try ask(node, from: .pod("client"), family, path: "/wrong", headers: canary).contains("Access denied"))
        #expect(
          try ask(node, from: .pod("stranger"), family, path: "/right", headers: canary).contains("Access denied"))
        // The other version is open to all.
        #expect(try ask(node, from: .pod("stranger"), family, path: "/right").hasPrefix("v1 "))
      }
      let told = try eventually(within: 5) {
        try node.martlet("observe", "--http-status", "403", "--last", "100", "-o", "json").output
          .contains("default/shop-v2")
      }
      #expect(told)
      try node.delete(policy)
      try node.delete(routes)
    }

    @Test func `the verbs say what is routed`() throws {
      let node = try SharedNode.node
      let routes = Manifest.byHeader("x-canary", "true")
      try follow(node, routes, ["x-canary: true"], "v2")
      let list = try node.martlet("route", "list", "-o", "json").json().arrayValue ?? []
      #expect(
        list.count == 1 && list[0]["object"] == "CiliumEnvoyConfig default/shop" && list[0]["state"] == "OK", "\(list)")
      for (words, cluster, index): ([String], String, Int64) in [
        (["-H", "x-canary: true"], "default/shop-v2", 0), ([], "default/shop-v1", 1),
      ] {
        let outcome = try node.onNode([Node.binary, "route", "why", "GET", "http://shop:9080/", "--json"] + words)
        let answer = try outcome.json()
        #expect(outcome.status == 0 && answer["route"]?["index"] == .integer(index), "\(answer)")
        #expect(answer["clusters"]?.arrayValue?.first?["name"] == .string(cluster), "\(answer)")
        #expect(answer["clusters"]?.arrayValue?.first?["endpoints"]?.arrayValue?.count == 2, "\(answer)")
      }
      // A version by its own name is nobody's listener.
      #expect(try node.martlet("route", "why", "GET", "http://shop-v1:9080/").status == 1)
      try node.delete(routes)
    }

    @Test func `routes that can not be followed leave those of before`() throws {
      let node = try SharedNode.node
      try follow(node, Manifest.byHeader("x-canary", "true"), ["x-canary: true"], "v2")
      let broken = Manifest.routes("{match: {prefix: /}, route: {cluster: default/unknown}}")
      _ = try node.kubectl("apply", "-f", "-", stdin: broken)
      var status = ""
      let isTold = try eventually(within: 10) {
        status = try node.kubectl("get", "ciliumenvoyconfig", "shop", "-o", "jsonpath={.status}").text
        return status.contains("default/unknown")
      }
      #expect(isTold, "\(status)")
      #expect(try name(node, from: .pod("client"), .ipv4, ["x-canary: true"]) == "v2")
      try node.delete(broken)
    }
  }
}
