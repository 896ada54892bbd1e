import Identity
import JSON
import Policy
import Testing

/// What policies say of one connection, rule by rule.
@Suite struct PolicyReadingTests {
  private static let web = NumericIdentity(rawValue: 1000)
  private static let client = NumericIdentity(rawValue: 1001)

  private func readings(
    _ policies: [JSONValue], of subject: NumericIdentity = web, _ direction: Direction = .ingress,
    peer: NumericIdentity = client, number: UInt8 = 6, port: UInt16 = 80
  ) throws -> [PolicyReading] {
    var cluster = Cluster()
    cluster.add("default", "web", ["app": "web"], ports: [NamedPort(name: "http", protocol: 6, port: 80)])
    cluster.add("default", "client", ["app": "client"])
    var compiler = PolicyCompiler()
    _ = compiler.update(PolicyDelta(cluster.snapshot(try policies.map(document))))
    return compiler.readings(of: subject, direction, peer: peer, protocol: number, port: port)
  }

  private func ingress(_ rule: JSONValue, name: String = "p", also: JSONValue? = nil) -> JSONValue {
    var spec: JSONValue = ["endpointSelector": ["matchLabels": ["app": "web"]], "ingress": [rule]]
    if let also { spec["ingressDeny"] = [also] }
    return policy(name, spec: spec)
  }

  private static let ports: [(port: JSONValue, asked: UInt16, number: UInt8, text: String, matches: Bool)] = [
    (["port": "80", "protocol": "TCP"], 80, 6, "80/TCP", true),
    (["port": "80", "protocol": "TCP"], 80, 17, "80/TCP", false),
    (["port": "80", "endPort": 90, "protocol": "TCP"], 85, 6, "80-90/TCP", true),
    (["port": "80", "endPort": 90, "protocol": "TCP"], 91, 6, "80-90/TCP", false),
    (["port": "http", "protocol": "TCP"], 80, 6, "http/TCP", true),
    (["port": "http", "protocol": "TCP"], 81, 6, "http/TCP", false),
    (["port": "0", "protocol": "UDP"], 7, 17, "any/UDP", true),
  ]

  @Test(arguments: ports) func `a term says whether it is about the port`(
    _ scenario: (port: JSONValue, asked: UInt16, number: UInt8, text: String, matches: Bool)
  ) throws {
    let rule: JSONValue = ["fromEndpoints": [[:]], "toPorts": [["ports": [scenario.port]]]]
    let term = try #require(readings([ingress(rule)], number: scenario.number, port: scenario.asked).first?.terms.first)
    #expect(term.ports == scenario.text && term.matchesPort == scenario.matches && term.matchesPeer)
  }

  @Test func `a term says what a peer lacks`() throws {
    let rule: JSONValue = [
      "fromEndpoints": [["matchLabels": ["app": "other", "tier": "1"]], ["matchLabels": ["app": "friend"]]]
    ]
    let term = try #require(readings([ingress(rule)]).first?.terms.first)
    #expect(!term.matchesPeer && term.peers?.count == 2 && term.ports == "any port")
    #expect(term.unmet.map(\.key.key) == ["app"], "of the selector that lacks the fewest")
  }

  @Test func `terms come in the order of the object, with their effects`() throws {
    let rule: JSONValue = [
      "fromEndpoints": [[:]],
      "toPorts": [["ports": [["port": "80", "protocol": "TCP"]], "rules": ["http": [["method": "GET"]]]]],
    ]
    let reading = try #require(readings([ingress(rule, also: ["fromEntities": ["world"]])]).first)
    #expect(Set(reading.terms.map(\.effect)) == [.proxy, .deny])
    #expect(reading.terms.filter(\.matches).map(\.effect) == [.proxy])
    #expect(reading.deniesByDefault && reading.object.name == "p")
  }

  @Test func `only policies about the subject and the direction have a say`() throws {
    let both = [ingress(["fromEndpoints": [[:]]], name: "b"), ingress([:], name: "a")]
    #expect(try readings(both).map(\.object.name) == ["a", "b"])
    #expect(try readings(both, .egress).isEmpty)
    #expect(try readings(both, of: Self.client, peer: Self.web).isEmpty)
  }

  @Test func `a policy that allows by default has a say by its rules alone`() throws {
    let spec: JSONValue = [
      "endpointSelector": [:], "enableDefaultDeny": ["ingress": false], "ingress": [["fromEndpoints": [[:]]]],
    ]
    #expect(try readings([policy(spec: spec)]).map(\.deniesByDefault) == [false])
  }
}
