import JSON
import Testing

private let servers: Set<String> = ["web-1", "web-2"]

/// Clients that are told why their packets do not go on.
extension EndToEnd.OutsideTests {
  @Test(arguments: Family.allCases)
  func `who asks a Service without endpoints is refused`(_ family: Family) throws {
    let node = try SharedNode.node
    let (inside, outside) = (try node.clusterIP("empty", family), try node.address(of: .host, family))
    for (client, address, ports) in [
      (Place.pod("client"), inside, [80, 53]), (.beside("client"), inside, [80, 53]),
      (.world, outside, [30480, 30453]),
    ] {
      for (port, transport) in zip(ports, [Transport.tcp, .udp]) {
        let tally = try node.ask(address, port, transport, from: client, times: 5)
        #expect(tally.names == ["ECONNREFUSED"], "\(client) by \(transport): \(tally)")
        #expect(tally.slowestMilliseconds < 900, "\(client) by \(transport): \(tally)")
      }
      // More than the answer cites.
      let long = try node.ask(address, ports[1], .udp, from: client, ["size": 4000])
      #expect(long.names == ["ECONNREFUSED"], "\(client): \(long)")
    }
    let isTold = try eventually(within: 20) {
      let flows = try node.martlet(
        "observe", "--service", "empty", "--drop-reason", "SERVICE_BACKEND_NOT_FOUND", "--last", "100"
      ).output
      return flows.contains("via default/empty:80") && flows.contains("via default/empty:53")
    }
    #expect(isTold)
  }

  /// The way to a backend elsewhere is no longer than the client said, and takes packets of its size only.
  @Test(arguments: Family.allCases)
  func `packets that can not turn round are told of`(_ family: Family) throws {
    let node = try SharedNode.node
    let address = try node.address(of: .host, family)
    let late = try node.ask(address, 30280, from: .world, ["hops": 1])
    #expect(late.names == ["EHOSTUNREACH"], "\(late)")
    let far = try node.address(of: .farWorld, family)
    let route = ["ip", "-n", node.name, "route", "replace", far, "dev", "world", "mtu", "lock", "1300"]
    try must(route)
    defer { _ = try? command(["ip", "-n", node.name, "route", "del", far, "dev", "world"]) }
    let large = try node.ask(address, 30280, from: .world, ["size": 50000])
    #expect(large.names == ["world"], "\(large)")
    let learned = try must(["ip", "-n", node.name + "w", "route", "get", address]).output
    #expect(learned.contains("mtu 1300"), "\(learned)")
  }

  /// Of two connections with the same ends, of which a service led one there, the later one has to wait.
  @Test(arguments: Family.allCases)
  func `a direct connection does not take a translated one's answers`(_ family: Family) throws {
    let node = try SharedNode.node
    let port: Int64 = family == .ipv4 ? 41004 : 41006
    let own: [String: JSONValue] = [
      "source": .string(try node.address(of: "client", family)), "sourcePort": .integer(port),
    ]
    let translated = try node.keep(
      try node.clusterIP("open", family), 80, from: .beside("client"), id: "clash \(family)", own)
    let server = try translated.say()
    #expect(servers.contains(server))
    let direct = try node.ask(try node.address(of: .pod(server), family), 8080, from: .beside("client"), own)
    #expect(direct.names == ["ECONNREFUSED"], "\(direct)")
    #expect(try translated.say() == server)
    let isTold = try eventually(within: 20) {
      try node.martlet("observe", "--drop-reason", "NO_MAPPING_FOR_NAT_MASQUERADE", "--last", "20").output
        .contains("client:\(port) ")
    }
    #expect(isTold)
    let other = try #require(servers.subtracting([server]).first)
    let elsewhere = try node.ask(try node.address(of: .pod(other), family), 8080, from: .beside("client"), own)
    #expect(elsewhere.names == [other], "\(elsewhere)")
  }

  /// Whoever balanced, each packet counts once.
  @Test func `what passes is counted by the Service's port`() throws {
    let node = try SharedNode.node
    func traffic() throws -> JSONValue {
      let service = try #require(try node.service("open"))
      return try #require(service["traffic"]?.arrayValue?.first { $0["port"] == 80 })
    }
    func count(_ key: String, _ value: JSONValue) -> Int64 { value[key]?.integerValue ?? -1 }
    for (client, address, port) in [
      (Place.pod("client"), try node.clusterIP("open", .ipv4), 80),
      (.beside("client"), try node.clusterIP("open", .ipv6), 80),
      (.world, try node.address(of: .host, .ipv4), 30080),
    ] {
      let before = try traffic()
      #expect(try node.ask(address, port, from: client, times: 10).names.isSubset(of: servers))
      let after = try traffic()
      // SYN, its acknowledgment, the question, and what ends it; the last packets may still be under way.
      for key in ["packetsToBackends", "packetsToClients"] {
        let packets = count(key, after) - count(key, before)
        #expect((30...80).contains(packets), "\(client): \(packets) \(key)")
      }
      #expect(count("bytesToBackends", after) - count("bytesToBackends", before) > 10 * 100)
    }
    let wide = try node.martlet("service", "list", "-o", "wide").output
    #expect(wide.contains("TO BACKENDS") && wide.contains("packets,"), "\(wide)")
    let metrics = try node.onNode(["curl", "-s", "http://127.0.0.1:9962/metrics"]).output
    #expect(metrics.contains("martlet_service_forward_bytes_total{"), "\(metrics)")
  }
}
