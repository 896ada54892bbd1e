import Glibc
import Testing

extension EndToEnd {
  /// What DNS rules and toFQDNs make of real queries to a real server, in a pod, on the node and in the world.
  @Suite(
    .serialized,
    .node(upArguments: ["--fqdn-grace", "1"]) { node in
      try node.runPod("client", labels: "app=client")
      try node.runPod("dns", labels: "app=dns", command: TestNames.server(node))
    })
  struct DNSTests {
    private func servers(_ node: Node) throws -> [Child] {
      let command = try TestNames.server(node) + ["--bind-interfaces"]
      return [
        try Child(["ip", "netns", "exec", node.name] + command + ["--listen-address=192.0.2.1,2001:db8::1"]),
        try Child(["ip", "netns", "exec", node.name + "w"] + command + ["--listen-address=192.0.2.2,2001:db8::2"]),
      ]
    }

    private func manifest(_ rules: String, _ more: String = "") -> String {
      """
      apiVersion: cilium.io/v2
      kind: CiliumNetworkPolicy
      metadata: {name: dns}
      spec:
        endpointSelector: {matchLabels: {app: client}}
        egress:
          - toPorts:
              - ports: [{port: "53", protocol: ANY}]
                rules: {dns: [\(rules)]}
      \(more)
      """
    }

    /// What dig prints; its status line when `+noall +comments` is asked for.
    private func dig(_ arguments: String..., server: Place, _ family: Family) throws -> Outcome {
      let node = try SharedNode.node
      let address = try node.address(of: server, family)
      return try node.run(["dig", "+time=2", "+tries=2", "@\(address)"] + arguments, at: .pod("client"))
    }

    /// Asks from the client until the server answers at all.
    private func waitForServers() throws {
      for place in [Place.pod("dns"), .host, .world] {
        for family in Family.allCases {
          #expect(
            try eventually(within: 20) {
              try dig("+short", "www.example.com", server: place, family).text == "192.0.2.2"
            },
            "\(place) \(family)")
        }
      }
    }

    /// A flow of a query that was led by a Service names it.
    @Test func `queries' flows tell of the Service`() throws {
      let node = try SharedNode.node
      try node.apply(
        ServiceManifests.dualStack(
          "names", selector: "app: dns", ["name: udp, port: 53, protocol: UDP", "name: tcp, port: 53"]))
      try node.waitForService("names", backends: 1)
      let policy = manifest(#"{matchPattern: "*.example.com"}"#)
      try node.apply(policy)
      for family in Family.allCases {
        let address = try node.clusterIP("names", family)
        for (transport, name) in [("+notcp", "www.example.com"), ("+tcp", "denied.org")] {
          _ = try node.run(["dig", "+time=2", "+tries=2", transport, "@\(address)", name], at: .pod("client"))
          let isTold = try eventually(within: 20) {
            try node.tells(of: "names", client: family) { $0[path: "l7", "dns", "query"]?.stringValue == name + "." }
          }
          #expect(isTold, "\(family) \(name)")
        }
      }
      try node.delete(policy)
    }

    @Test func `names are allowed and refused wherever the server is`() throws {
      let node = try SharedNode.node
      let servers = try self.servers(node)
      defer { for server in servers { server.end() } }
      try waitForServers()
      try node.apply(manifest(#"{matchPattern: "*.example.com"}"#))
      for place in [Place.pod("dns"), .host, .world] {
        for family in Family.allCases {
          for transport in ["+notcp", "+tcp"] {
            let note = Comment(rawValue: "\(place) \(family) \(transport)")
            #expect(try dig(transport, "+short", "WWW.example.com", server: place, family).text == "192.0.2.2", note)
            #expect(
              try dig(transport, "+short", "alias.example.com", "AAAA", server: place, family).text
                .hasSuffix("2001:db8::2"), note)
            for name in ["a.b.example.com", "example.com", "denied.org"] {
              #expect(try dig(transport, name, server: place, family).output.contains("status: REFUSED"), note)
            }
            #expect(
              try dig(transport, "no.example.com", server: place, family).output.contains("status: NXDOMAIN"), note)
          }
          let cut = try dig("+ignore", "+noedns", "big.example.com", "TXT", server: place, family).output
          #expect(cut.contains(" tc "), "\(place) \(family)")
          #expect(
            try dig("big.example.com", "TXT", server: place, family).output.contains("xxxx"), "\(place) \(family)")
        }
      }
      let flows = try node.martlet("observe", "--last", "500", "-o", "json").output
      #expect(flows.contains(#""query":"denied.org.""#) && flows.contains(#""rcode":5"#))
      try node.delete(manifest(#"{matchPattern: "*.example.com"}"#))
    }

    @Test func `a resolver that tries a search domain gets on`() throws {
      let node = try SharedNode.node
      try node.apply(manifest("{matchName: www.example.com}"))
      let found = try dig("+search", "+domain=example.com", "+short", "www", server: .pod("dns"), .ipv4)
      #expect(found.text == "192.0.2.2", "\(found)")
      let refused = try dig("+search", "+domain=svc.cluster.local", "www.example.com", server: .pod("dns"), .ipv4)
      #expect(refused.output.contains("192.0.2.2"), "\(refused)")
      try node.delete(manifest("{matchName: www.example.com}"))
    }

    private static let fqdns = """
          - toFQDNs: [{matchPattern: "*.example.com"}]
            toPorts: [{ports: [{port: "9080", protocol: TCP}]}]
      """

    private func reaches(_ place: Place, _ family: Family) throws -> Bool {
      try SharedNode.node.request(from: .pod("client"), to: place, family: family, timeout: 0.5) != nil
    }

    @Test func `toFQDNs allows what was answered, for as long as it holds`() throws {
      let node = try SharedNode.node
      let web = try node.serverInWorld(port: 9080)
      defer { web.end() }
      let policy = manifest(#"{matchPattern: "*"}"#, Self.fqdns)
      try node.apply(policy)
      // An address of its own: queries to the name server in the world keep that one's address in use for a while.
      for (type, family) in [("A", Family.ipv4), ("AAAA", .ipv6)] {
        #expect(try !reaches(.farWorld, family), "\(family): nobody asked for it")
        #expect(try !dig("+short", "other.example.com", type, server: .pod("dns"), .ipv4).text.isEmpty)
        #expect(try reaches(.farWorld, family), "\(family): the kernel knows the address before the client does")
      }
      let list = try node.martlet("fqdn", "list").output
      #expect(list.contains("other.example.com") && list.contains("192.0.2.3") && list.contains("*.example.com"))
      for family in Family.allCases {
        #expect(
          try eventually(within: 20, every: 1_500_000) { try !reaches(.farWorld, family) },
          "\(family): answers expire")
      }
      try node.delete(policy)
    }

    @Test func `names go on while the agent is dead, and are known to the next one`() throws {
      let node = try SharedNode.node
      let web = try node.serverInWorld(port: 9080)
      defer { web.end() }
      let policy = manifest(#"{matchPattern: "*"}"#, Self.fqdns)
      try node.apply(policy)
      let agent = try #require(node.pid(of: "agent"))
      kill(agent, SIGSTOP)
      #expect(try dig("+short", "other.example.com", server: .pod("dns"), .ipv4).text == "192.0.2.3")
      #expect(try reaches(.farWorld, .ipv4), "a new address of a known pattern needs no agent")
      kill(agent, SIGKILL)
      #expect(try dig("+short", "www.example.com", server: .pod("dns"), .ipv4).text == "192.0.2.2")
      #expect(try reaches(.world, .ipv4))
      #expect(try node.martlet("status", "--wait", "--timeout", "20s").status == 0)
      #expect(try dig("+short", "www.example.com", server: .pod("dns"), .ipv4).text == "192.0.2.2")
      #expect(try reaches(.world, .ipv4))
      try node.delete(policy)
    }

    @Test func `queries are answered again after the proxy is killed`() throws {
      let node = try SharedNode.node
      try node.apply(manifest("{matchName: www.example.com}"))
      let proxy = try #require(node.pid(of: "proxy"))
      kill(proxy, SIGKILL)
      let isBack = try eventually(within: 20) {
        try dig("+short", "www.example.com", server: .pod("dns"), .ipv4).text == "192.0.2.2"
      }
      #expect(isBack)
      #expect(try dig("denied.org", server: .pod("dns"), .ipv4).output.contains("status: REFUSED"))
      try node.delete(manifest("{matchName: www.example.com}"))
    }

    @Test(arguments: Family.allCases) func `HTTP rules read what goes to the world`(_ family: Family) throws {
      let node = try SharedNode.node
      let web = try node.serverInWorld(port: 9080)
      defer { web.end() }
      let policy = """
        apiVersion: cilium.io/v2
        kind: CiliumNetworkPolicy
        metadata: {name: web}
        spec:
          endpointSelector: {matchLabels: {app: client}}
          egress:
            - toPorts:
                - ports: [{port: "9080", protocol: TCP}]
                  rules: {http: [{method: GET, path: "/details/.*"}]}
        """
      try node.apply(policy)
      func status(_ path: String) throws -> String? {
        try node.request(from: .pod("client"), to: .world, path: path, family: family)
      }
      #expect(try eventually(within: 20) { try status("/details/0") == "200" })
      #expect(try status("/other") == "403")
      try node.delete(policy)
    }
  }
}

private enum TestNames {
  /// dnsmasq with the names of these tests; answers hold for two seconds.
  static func server(_ node: Node) throws -> [String] {
    let hosts = node.directory + "/hosts"
    try write(
      """
      192.0.2.2 www.example.com
      2001:db8::2 www.example.com
      192.0.2.3 other.example.com
      2001:db8::3 other.example.com
      192.0.2.3 a.b.example.com

      """, to: hosts)
    let text = (0..<12).map { _ in String(repeating: "x", count: 200) }.joined(separator: ",")
    return [
      "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--addn-hosts=\(hosts)", "--local-ttl=2",
      "--user=root", "--pid-file=", "--local=/example.com/", "--cname=alias.example.com,www.example.com",
      "--txt-record=big.example.com,\(text)",
    ]
  }
}
