import JSON
import Testing

extension EndToEnd {
  /// What HTTP rules say and what clients and servers see, each in both families.
  @Suite(
    .serialized,
    .node { node in
      try node.runServer("productpage", labels: "app=productpage", role: "productpage")
      try node.runPod("reviews", labels: "app=reviews")
      try node.runPod("sleep", labels: "app=sleep")
    })
  struct HTTPTests {
    private func manifest(_ rules: String) -> String {
      """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: http}
      spec:
        endpointSelector: {matchLabels: {app: productpage}}
        ingress:
          - fromEndpoints: [{matchLabels: {app: reviews}}]
            toPorts:
              - ports: [{port: "9080", protocol: TCP}]
                rules: {http: [\(rules)]}
      """
    }

    /// Method, path, headers, and the status of the answer.
    private typealias Row = (method: String, path: String, headers: [String], status: String)

    private func check(_ rules: String, _ rows: [Row]) throws {
      let node = try SharedNode.node
      try node.apply(manifest(rules))
      for family in Family.allCases {
        for row in rows {
          let status = try node.request(
            from: .pod("reviews"), to: .pod("productpage"), method: row.method, path: row.path, headers: row.headers,
            family: family)
          #expect(status == row.status, "\(family) \(row)")
        }
        let stranger = try node.request(
          from: .pod("sleep"), to: .pod("productpage"), path: "/x", family: family, timeout: 0.3)
        #expect(stranger == nil, "\(family): L4 comes before HTTP")
      }
      try node.delete(manifest(rules))
      for family in Family.allCases {
        #expect(
          try node.request(from: .pod("sleep"), to: .pod("productpage"), method: "PUT", path: "/x", family: family)
            == "200")
      }
    }

    @Test func `method, path and a header's presence`() throws {
      try check(
        #"{method: GET, path: "/.*"}, {method: POST, path: "/api/.*"}, {method: PUT, path: "/put", headers: [X-Token]}"#,
        [
          ("GET", "/page", [], "200"),
          ("GET", "/page?q=1", [], "200"),
          ("POST", "/api/v1", [], "200"),
          ("POST", "/login", [], "403"),
          ("POST", "/api", [], "403"),
          ("DELETE", "/api/v1", [], "403"),
          ("PUT", "/put", [], "403"),
          ("PUT", "/put", ["X-Token: a"], "200"),
          ("PUT", "/put", ["x-token: a"], "200"),
        ])
    }

    @Test func `a header's value`() throws {
      try check(
        #"{headerMatches: [{name: X-Tenant, value: blue}]}"#,
        [
          ("GET", "/x", ["X-Tenant: blue"], "200"),
          ("GET", "/x", ["X-Tenant: green"], "403"),
          ("GET", "/x", [], "403"),
        ])
    }

    @Test func `the host is a regular expression of the whole name`() throws {
      try check(
        #"{host: "(a|b)[.]example[.]com"}"#,
        [
          ("GET", "/x", ["Host: a.example.com"], "200"),
          ("GET", "/x", ["Host: b.example.com"], "200"),
          ("GET", "/x", ["Host: c.example.com"], "403"),
          ("GET", "/x", ["Host: a.example.com.evil"], "403"),
        ])
    }

    @Test func `no rule at all lets every request through`() throws {
      try check("{}", [("GET", "/x", [], "200"), ("DELETE", "/y", [], "200")])
    }

    @Test(arguments: Family.allCases) func `the server sees the client's own address`(_ family: Family) throws {
      let node = try SharedNode.node
      let policy = manifest("{method: GET}")
      try node.apply(policy)
      let answer = try node.body(from: .pod("reviews"), to: .pod("productpage"), path: "/echo", family: family)
      let client = try answer.json()["client"]?.stringValue
      #expect(client == (try node.address(of: .pod("reviews"), family)), "\(answer)")
      try node.delete(policy)
    }

    @Test(arguments: Family.allCases) func `requests are observed with method, path and status`(_ family: Family) throws
    {
      let node = try SharedNode.node
      let policy = manifest("{method: GET}")
      try node.apply(policy)
      _ = try node.request(
        from: .pod("reviews"), to: .pod("productpage"), method: "POST", path: "/seen-\(family)", family: family)
      let seen = try eventually(within: 20) {
        let flows = try node.martlet("observe", "--http-method", "POST", "--http-status", "403", "-o", "json")
        return flows.output.contains("/seen-\(family)")
      }
      #expect(seen)
      try node.delete(policy)
    }

    /// The proxy ends these connections first, so it is the one that remembers the last connection of the port.
    @Test(arguments: Family.allCases) func `a client may use its port again at once`(_ family: Family) throws {
      let node = try SharedNode.node
      let policy = manifest("{method: GET}")
      try node.apply(policy)
      let script = """
        retransmitted() { nstat -asz TcpRetransSegs | awk '/Retrans/ { print $2 }'; }
        range=/proc/sys/net/ipv4/ip_local_port_range; ports=$(<$range); echo 40000 40000 >$range
        before=$(retransmitted)
        for number in 1 2 3 4 5; do
          exec 3<>"/dev/tcp/$1/9080" || echo unreachable
          printf 'GET /ratings/0 HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' >&3
          IFS= read -r status <&3; echo "${status%$'\\r'}"; cat <&3 >/dev/null; exec 3>&-
        done
        echo "$ports" >$range
        echo "retransmitted $(($(retransmitted) - before))"
        """
      let address = try node.address(of: .pod("productpage"), family)
      let outcome = try node.run(["bash", "-c", script, "again", address], at: .pod("reviews"))
      let answers = [String](repeating: "HTTP/1.1 200 OK", count: 5)
      #expect(outcome.text.split(separator: "\n").map(String.init) == answers + ["retransmitted 0"], "\(outcome)")
      try node.delete(policy)
    }

    @Test func `an edited policy is what the next request meets`() throws {
      let node = try SharedNode.node
      for (method, other) in [("GET", "POST"), ("POST", "GET"), ("GET", "POST")] {
        try node.apply(manifest("{method: \(method)}"))
        for family in Family.allCases {
          #expect(
            try node.request(from: .pod("reviews"), to: .pod("productpage"), method: method, family: family) == "200")
          #expect(
            try node.request(from: .pod("reviews"), to: .pod("productpage"), method: other, family: family) == "403")
        }
      }
      try node.delete(manifest("{method: GET}"))
    }
  }
}
