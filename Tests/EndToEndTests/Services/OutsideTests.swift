import Glibc
import JSON
import Testing

private let servers: Set<String> = ["web-1", "web-2"]

/// Two servers; in the world a client, which is also what is behind the Services `abroad`: at the address `farWorld`.
private func prepare(_ node: Node) throws {
  let slices = try ["abroad", "abroad-only"].flatMap { service in
    try Family.allCases.map { family in
      ServiceManifests.slice(
        service, of: service, family, port: 7000,
        [.init(address: try node.address(of: .farWorld, family), node: "elsewhere")])
    }
  }
  try node.apply(ServiceManifests.documents([ServiceManifests.outside] + slices))
  for name in ["web-1", "web-2"] {
    try node.runProber(
      name, labels: "app=web,name=\(name)", tcp: [8080], udp: [5300], declared: ["http=8080", "dns=5300/UDP"])
  }
  try node.runProber("client", labels: "app=client")
  for (place, tcp, udp) in [
    (Place.world, [7000], [7001]), (.host, [], []), (.beside("client"), [], []), (.beside("web-1"), [], []),
  ] {
    node.keepUntilStop(try node.startProber(at: place, tcp: tcp, udp: udp))
  }
  for (block, gateway) in [
    ("198.51.100.0/24", "192.0.2.1"), ("203.0.113.0/24", "192.0.2.1"), ("2001:db8:ffff::/64", "2001:db8::1"),
    ("2001:db8:cafe::/64", "2001:db8::1"),
  ] {
    try must(["ip", "-n", node.name + "w", "route", "add", block, "via", gateway])
  }
  // Of two addresses the newer one would be the client's.
  try must(["ip", "-n", node.name + "w", "addr", "change", "2001:db8::3/64", "dev", "node", "preferred_lft", "0"])
  try node.waitForService("open", backends: 2)
  try node.waitForService("abroad", backends: 1)
}

private let arguments = [
  "--device", "world", "--load-balancer-cidr", "203.0.113.0/24,2001:db8:cafe::/112", "--native-cidr",
  "192.0.2.3/32,2001:db8::3/128",
]

extension EndToEnd {
  /// Services for clients whose packets come in by the device of `--device`, and for those that the socket hooks miss.
  @Suite(.serialized, .node(upArguments: arguments, prepare))
  struct OutsideTests {
    @Test(arguments: Family.allCases)
    func `a NodePort keeps the client's address where the backend is here`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.address(of: .host, family)
      for (port, transport) in [(30080, Transport.tcp), (30053, .udp), (30053, .datagrams), (30180, .tcp)] {
        let tally = try node.ask(address, port, transport, from: .world, times: 60)
        #expect(tally.names == servers, "\(port) \(transport): \(tally)")
        #expect(tally.clients == [try node.address(of: .world, family)], "\(port) \(transport): \(tally)")
        #expect(tally.peers == ["\(address) \(port)"], "\(port) \(transport): \(tally)")
      }
    }

    @Test(arguments: Family.allCases)
    func `external and load balancers' addresses`(_ family: Family) throws {
      let node = try SharedNode.node
      let addresses = [
        family == .ipv4 ? "198.51.100.7" : "2001:db8:ffff::7", try node.loadBalancerIP("open", family),
      ]
      for address in addresses {
        for transport in [Transport.tcp, .udp] {
          let tally = try node.ask(address, transport.isTCP ? 80 : 53, transport, from: .world, times: 40)
          #expect(tally.names == servers, "\(address) \(transport): \(tally)")
          #expect(tally.clients == [try node.address(of: .world, family)], "\(address) \(transport): \(tally)")
        }
      }
      // Not a port of the Service.
      let other = try node.ask(addresses[0], 81, from: .world, ["timeout": 0.3])
      #expect(other.names.isDisjoint(with: servers), "\(other)")
    }

    @Test(arguments: Family.allCases)
    func `a backend elsewhere sees the node`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.address(of: .host, family)
      let tally = try node.ask(address, 30280, from: .world, times: 20)
      #expect(tally.names == ["world"] && tally.clients == [address], "\(tally)")
      #expect(tally.peers == ["\(address) 30280"], "\(tally)")
      let kept = try node.keep(address, 30280, from: .world, id: "abroad \(family)")
      let entries = try node.translations { $0["serviceName"]?.stringValue == "default/abroad" }
      let world = try node.address(of: .world, family)
      let open = try #require(
        entries.first { $0["state"] == "established" && $0[path: "source", "address"]?.stringValue == world },
        "\(entries)")
      #expect(open[path: "newSource", "address"]?.stringValue == address)
      #expect((10000...29999).contains(open[path: "newSource", "port"]?.integerValue ?? 0), "\(open)")
      #expect(try kept.say() == "world")
    }

    @Test(arguments: Family.allCases)
    func `Local does not go elsewhere`(_ family: Family) throws {
      let node = try SharedNode.node
      let tally = try node.ask(
        try node.address(of: .host, family), 30380, from: .world, ["timeout": 0.3])
      #expect(tally.names == ["ETIMEDOUT"], "\(tally)")
      // Clients of the cluster get all there are.
      let inside = try node.ask(try node.clusterIP("abroad-only", family), 80, from: .pod("client"))
      #expect(inside.names == ["world"], "\(inside)")
    }

    @Test(arguments: Family.allCases)
    func `source ranges`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.loadBalancerIP("guarded", family)
      let allowed = try node.ask(address, 80, from: .world, times: 20)
      #expect(allowed.names == servers, "\(allowed)")
      let stranger = JSONValue.string(try node.address(of: .farWorld, family))
      let denied = try node.ask(address, 80, from: .world, ["timeout": 0.3, "source": stranger])
      #expect(denied.names == ["ETIMEDOUT"], "\(denied)")
      let seen = try eventually(within: 20) {
        try node.martlet(
          "observe", "--service", "guarded", "--drop-reason", "DENIED_BY_LB_SRC_RANGE_CHECK", "--last", "100"
        ).output.contains("via default/guarded:80")
      }
      #expect(seen)
    }

    /// What a pod's processes make of raw packets, and processes that are nobody's.
    @Test(arguments: Family.allCases)
    func `a ClusterIP without the socket's help`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.clusterIP("open", family)
      for (port, transport) in [(80, Transport.tcp), (53, .udp), (53, .datagrams)] {
        let tally = try node.ask(address, port, transport, from: .beside("client"), times: 60)
        #expect(tally.names == servers, "\(transport): \(tally)")
        #expect(tally.clients == [try node.address(of: "client", family)], "\(transport): \(tally)")
        #expect(tally.peers == ["\(address) \(port)"], "\(transport): \(tally)")
      }
      let abroad = try node.ask(try node.clusterIP("abroad", family), 80, from: .beside("client"), times: 5)
      #expect(abroad.names == ["world"], "\(abroad)")
    }

    @Test(arguments: Family.allCases)
    func `a pod reaches itself`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.clusterIP("self", family)
      for (port, transport) in [(80, Transport.tcp), (53, .udp)] {
        let tally = try node.ask(address, port, transport, from: .beside("web-1"), times: 10)
        #expect(tally.names == ["web-1"], "\(transport): \(tally)")
        #expect(
          tally.clients == [family == .ipv4 ? "169.254.42.1" : "64:ff9b:1::a9fe:2a01"], "\(transport): \(tally)")
      }
    }

    @Test(arguments: Family.allCases)
    func `datagrams in fragments`(_ family: Family) throws {
      let node = try SharedNode.node
      for (client, address, port) in [
        (Place.world, try node.address(of: .host, family), 30053),
        (.beside("client"), try node.clusterIP("open", family), 53),
        (.pod("client"), try node.address(of: .world, family), 7001),
      ] {
        let tally = try node.ask(address, port, .udp, from: client, times: 10, ["size": 4000, "timeout": 1])
        #expect(tally.count == 10 && tally.names.isSubset(of: servers.union(["world"])), "\(client): \(tally)")
      }
    }

    /// Nobody listens: the client is told at the address that it asked.
    @Test(arguments: Family.allCases)
    func `errors find their way back`(_ family: Family) throws {
      let node = try SharedNode.node
      for (client, address, port) in [
        (Place.world, try node.address(of: .host, family), 30009),
        (.beside("client"), try node.clusterIP("silent", family), 9),
        (.pod("client"), try node.address(of: .world, family), 9),
      ] {
        let tally = try node.ask(address, port, .udp, from: client, ["timeout": 1])
        #expect(tally.names == ["ECONNREFUSED"], "\(client) to \(address) \(port): \(tally)")
      }
    }

    @Test(arguments: Family.allCases)
    func `pods leave with the node's address but for exceptions`(_ family: Family) throws {
      let node = try SharedNode.node
      for (port, transport) in [(7000, Transport.tcp), (7001, .udp)] {
        let out = try node.ask(
          try node.address(of: .world, family), port, transport, from: .pod("client"), times: 10)
        #expect(out.names == ["world"], "\(transport): \(out)")
        #expect(out.clients == [try node.address(of: .host, family)], "\(transport): \(out)")
        let native = try node.ask(
          try node.address(of: .farWorld, family), port, transport, from: .pod("client"), times: 10)
        #expect(native.clients == [try node.address(of: "client", family)], "\(transport): \(native)")
      }
      // What begins outside is answered from where it was asked.
      // By ports that no connection to the node's own port can have left behind.
      let world = try node.address(of: .world, family)
      for source in 21001...21005 {
        let direct = try node.ask(
          try node.address(of: "web-1", family), 8080, from: .world,
          ["source": .string(world), "sourcePort": .integer(Int64(source))])
        #expect(direct.names == ["web-1"], "\(direct)")
        #expect(direct.clients == [world], "\(direct)")
      }
      let echo = try node.exec("client", ["ping", "-c", "1", "-W", "2", try node.address(of: .world, family)])
      #expect(echo.status == 0, "\(echo)")
    }

    /// A node that is known by its object: what it is sent by pods here comes from them.
    @Test func `pods reach other nodes with their own address`() throws {
      let node = try SharedNode.node
      let other = "apiVersion: v1\nkind: Node\nmetadata: {name: other}"
      try node.know(other: "other", at: Family.allCases.map { try node.address(of: .world, $0) })
      func clients(_ family: Family) throws -> [String] {
        try node.ask(try node.address(of: .world, family), 7000, from: .pod("client")).clients
      }
      for family in Family.allCases {
        let own = try node.address(of: "client", family)
        let isNative = try eventually(within: 5) { try clients(family) == [own] }
        #expect(isNative, "\(family)")
      }
      try node.delete(other)
      for family in Family.allCases {
        let host = try node.address(of: .host, family)
        let isMasqueraded = try eventually(within: 5) { try clients(family) == [host] }
        #expect(isMasqueraded, "\(family)")
      }
    }

    @Test func `what there is to see`() throws {
      let node = try SharedNode.node
      _ = try node.ask(try node.address(of: .host, .ipv4), 30080, from: .world, times: 20)
      let status = try node.martlet("status")
      let line = status.text.split(separator: "\n").first { $0.hasPrefix("KubeProxyReplacement:") } ?? ""
      #expect(line.contains("True [") && line.contains("world (192.0.2.1, 2001:db8::1)"), "\(line)")
      #expect(line.contains("masquerading except to") && line.contains("NAT ports 10000-29999"), "\(line)")
      let flows = try node.martlet("observe", "--service", "open", "--last", "100", "-o", "json").output
      let flow = try #require(try flows.split(separator: "\n").last.map { try JSONValue(parsing: String($0)) })
      let expected: JSONValue = ["name": "open", "namespace": "default"]
      #expect(flow[path: "flow", "destination_service"] == expected, "\(flow.text())")
      #expect(servers.contains(flow[path: "flow", "destination", "pod_name"]?.stringValue ?? ""), "\(flow.text())")
      #expect(flow[path: "flow", "IP", "source"] == "192.0.2.2", "\(flow.text())")
      // Whoever balanced: the client's socket, or the node on the way to a backend elsewhere.
      for (client, port, transport) in [
        (Place.pod("client"), 80, Transport.tcp), (.pod("client"), 53, .udp), (.pod("client"), 53, .datagrams),
        (.host, 80, .tcp),
      ] {
        let told = try node.tells(of: "open", from: client, try node.clusterIP("open", .ipv4), port, transport)
        #expect(told, "\(client) by \(transport)")
      }
      #expect(try node.tells(of: "abroad", from: .world, "192.0.2.1", 30280, .tcp))
      let metrics = try node.onNode(["curl", "-s", "http://127.0.0.1:9962/metrics"]).output
      #expect(metrics.contains(#"martlet_service_connections_total{namespace="default",service="open"}"#))
      #expect(metrics.contains("martlet_datapath_nat_gc_runs_total"))
    }

    @Test(arguments: Family.allCases)
    func `connections outlive the agent`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.address(of: .host, family)
      let kept = try [30080, 30280].map { try node.keep(address, $0, from: .world, id: "outlive \(family) \($0)") }
      let before = try kept.map { try $0.say() }
      kill(try #require(node.pid(of: "agent")), SIGKILL)
      #expect(try kept.map { try $0.say() } == before)
      #expect(try node.ask(address, 30080, from: .world, times: 20).names == servers)
      #expect(try eventually(within: 20) { try node.martlet("status").status == 0 })
      #expect(try kept.map { try $0.say() } == before)
    }
  }
}

extension Node {
  /// Whether a flow tells of the Service when its client makes one new connection.
  fileprivate func tells(
    of service: String, from client: Place, _ address: String, _ port: Int, _ transport: Transport
  ) throws -> Bool {
    func count() throws -> Int {
      try martlet("observe", "--service", service, "--last", "4000", "-o", "json").output
        .split(separator: "\n").count
    }
    let before = try count()
    _ = try ask(address, port, transport, from: client)
    return try eventually(within: 20) { try count() > before }
  }

  fileprivate func loadBalancerIP(_ service: String, _ family: Family) throws -> String {
    let answer = try kubectl("get", "service", service, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
    let all = answer.text.split(separator: " ").map(String.init)
    guard let found = all.first(where: { $0.contains(":") == (family == .ipv6) }) else {
      throw Failure("Service \(service) has no load balancer's address of \(family): \(answer)")
    }
    return found
  }

  fileprivate func translations(where wanted: (JSONValue) -> Bool) throws -> [JSONValue] {
    (try martlet("bpf", "nat", "list", "-o", "json").json().arrayValue ?? []).filter(wanted)
  }
}
