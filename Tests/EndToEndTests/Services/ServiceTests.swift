import Glibc
import JSON
import Testing

/// Three servers behind Services, a client's pod; the node and the world run probers, too.
private func prepare(_ node: Node) throws {
  try node.apply(ServiceManifests.documents([ServiceManifests.web, ServiceManifests.others]))
  for (name, http, dns) in [("web-1", 8080, 5301), ("web-2", 8080, 5302), ("web-3", 8083, 5303)] {
    try node.runProber(
      name, labels: "app=web", tcp: [http, 9000, dns], udp: [dns],
      declared: ["http=\(http)", "admin=9000", "dns=\(dns)/UDP", "dns-tcp=\(dns)/TCP"])
  }
  try node.runProber("client", labels: "app=client")
  node.keepUntilStop(try node.startProber(at: .host, tcp: [7000]))
  node.keepUntilStop(try node.startProber(at: .world, tcp: [7000]))
  try node.waitForService("web", backends: 3)
}

private let servers: Set<String> = ["web-1", "web-2", "web-3"]

extension EndToEnd {
  /// Clients of Services, in a pod and on the node, with real sockets.
  @Suite(.serialized, .node(prepare))
  struct ServiceTests {
    static let clients: [Place] = [.pod("client"), .host]

    /// The programs of every client reach every server, fairly, by each way to send; they are told the Service's address,
    /// and servers see the client's own.
    @Test(arguments: Family.allCases, clients)
    func `a ClusterIP is balanced`(_ family: Family, _ client: Place) throws {
      let node = try SharedNode.node
      let address = try node.clusterIP("web", family)
      for transport in Transport.all(family) {
        let tally = try node.ask(address, transport.isTCP ? 80 : 53, transport, from: client, times: 240)
        #expect(tally.names == servers, "\(transport): \(tally)")
        // 80 each; the standard deviation is 7.3.
        #expect(tally.answers.values.allSatisfy { abs($0 - 80) < 40 }, "\(transport): \(tally)")
        #expect(tally.peers == ["\(address) \(transport.isTCP ? 80 : 53)"], "\(transport): \(tally)")
        if client != .host {
          #expect(tally.clients == [try node.address(of: client, family)], "\(transport): \(tally)")
        }
      }
    }

    @Test(arguments: Family.allCases)
    func `ports go where they say`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.clusterIP("web", family)
      for (port, transport) in [(80, Transport.tcp), (81, .tcp), (53, .tcp), (53, .udp)] {
        let tally = try node.ask(address, port, transport, from: .pod("client"), times: 30)
        #expect(tally.names == servers, "\(port) \(transport): \(tally)")
      }
      // No port of the Service: nobody answers for the address otherwise.
      let other = try node.ask(address, 82, from: .pod("client"), ["timeout": 0.3])
      #expect(other.names.isDisjoint(with: servers), "\(other)")
    }

    @Test(arguments: Family.allCases, clients)
    func `a socket that sends without a connection stays with its backend`(_ family: Family, _ client: Place) throws {
      let node = try SharedNode.node
      let address = try node.clusterIP("web", family)
      let tally = try node.ask(address, 53, .datagrams, from: client, times: 50, ["same": true])
      #expect(tally.answers.count == 1 && tally.count == 50 && tally.names.isSubset(of: servers), "\(tally)")
      #expect(tally.peers == ["\(address) 53"])
    }

    @Test(arguments: Family.allCases)
    func `a Service without endpoints refuses at once`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = try node.clusterIP("empty", family)
      for client in Self.clients {
        for transport in Transport.all(family) {
          let tally = try node.ask(address, transport.isTCP ? 80 : 53, transport, from: client, times: 3)
          #expect(
            tally.names == ["ECONNREFUSED"] && tally.slowestMilliseconds < 100, "\(client), \(transport): \(tally)")
        }
      }
    }

    /// The node's addresses stand for themselves to its pods, and so do its loopback addresses to itself.
    @Test(arguments: Family.allCases)
    func `a NodePort answers at the node's addresses`(_ family: Family) throws {
      let node = try SharedNode.node
      let loopback = family == .ipv4 ? "127.0.0.1" : "::1"
      for (client, address) in [
        (Place.pod("client"), try node.address(of: .host, family)), (.host, try node.address(of: .host, family)),
        (.host, loopback),
      ] {
        for (port, transport) in [(30080, Transport.tcp), (30053, .udp), (30053, .datagrams)] {
          let tally = try node.ask(address, port, transport, from: client, times: 30)
          #expect(tally.names == servers, "\(client) to \(address) \(port): \(tally)")
          #expect(tally.peers == ["\(address) \(port)"])
        }
      }
      // Somebody else's address is not the node's.
      let world = try node.ask(
        try node.address(of: .world, family), 30080, from: .pod("client"), ["timeout": 0.5])
      #expect(world.names.isDisjoint(with: servers), "\(world)")
    }

    @Test func `a NodePort is nobody else's to bind`() throws {
      let node = try SharedNode.node
      for (port, taken) in [(30080, true), (30079, false)] {
        let answer = try ServiceProber.tell(
          node.prober(.host), ["do": "listen", "protocol": "tcp", "port": .integer(Int64(port))])
        #expect((answer["error"]?.stringValue == "EADDRINUSE") == taken, "\(port): \(answer.text())")
      }
      // A pod's ports are its own.
      let answer = try ServiceProber.tell(
        node.prober(.pod("client")), ["do": "listen", "protocol": "tcp", "port": 30080])
      #expect(answer["error"] == nil, "\(answer.text())")
    }

    @Test(arguments: Family.allCases)
    func `external addresses`(_ family: Family) throws {
      let node = try SharedNode.node
      let address = family == .ipv4 ? "198.51.100.7" : "2001:db8:ffff::7"
      for client in Self.clients {
        let tally = try node.ask(address, 80, from: client, times: 30)
        #expect(tally.names == servers && tally.peers == ["\(address) 80"], "\(client): \(tally)")
      }
    }

    /// A client is a network namespace. What it uses within the time stays where it is; after it, it may get another one.
    @Test func `affinity lasts for its time`() throws {
      let node = try SharedNode.node
      // Each port is balanced for itself.
      let ports = Array(8001...8008)
      func names(_ family: Family, _ port: Int, _ transport: Transport = .tcp, from client: Place, times: Int = 20)
        throws
        -> Set<String>
      {
        let tally = try node.ask(try node.clusterIP("sticky", family), port, transport, from: client, times: times)
        #expect(tally.answers.count == 1 && tally.names.isSubset(of: servers), "\(client), \(transport): \(tally)")
        return tally.names
      }
      let client = Place.pod("client")
      var before: [Family: [Set<String>]] = [:]
      for family in Family.allCases {
        for transport in Transport.all(family) where !transport.isTCP {
          _ = try names(family, 53, transport, from: client)
        }
        _ = try names(family, 8001, from: .host)
        before[family] = try ports.map { try names(family, $0, from: client) }
      }
      let end = ContinuousClock.now + .milliseconds(5200)
      while ContinuousClock.now < end {
        usleep(700_000)
        for family in Family.allCases {
          #expect(try names(family, 8001, from: client) == before[family]?[0], "what is used goes on past its time")
        }
      }
      for family in Family.allCases {
        #expect(try ports.map { try names(family, $0, from: client, times: 1) } != before[family])
      }
    }

    @Test(arguments: Family.allCases)
    func `maglev is chosen by an annotation`(_ family: Family) throws {
      let node = try SharedNode.node
      #expect(try node.service("hashed")?["algorithm"] == "maglev")
      let tally = try node.ask(try node.clusterIP("hashed", family), 80, from: .pod("client"), times: 60)
      #expect(tally.names == servers, "\(tally)")
    }

    @Test func `headless Services and names of others are left alone`() throws {
      let node = try SharedNode.node
      for name in ["headless", "elsewhere"] {
        let service = try #require(try node.service(name))
        #expect(service["frontends"]?.arrayValue?.isEmpty == true, "\(service.text())")
        #expect(service["problems"]?.arrayValue?.isEmpty != false, "\(service.text())")
      }
      // A headless Service still has its endpoints, which is what resolvers ask for.
      let slices = try node.kubectl(
        "get", "endpointslices", "-l", "kubernetes.io/service-name=headless", "-o",
        "jsonpath={.items[*].endpoints[*].addresses[0]}")
      #expect(slices.text.split(separator: " ").count == 6, "\(slices)")
    }
  }
}
