import Addressing
import KubernetesAPI
import Services
import Testing

/// What a node does for a Service, told by who reaches which backend.
struct SemanticsTests {
  private let node = NodeFacts(name: "a", zone: "z1", addresses: [IPAddress(v4: 0xC0A8_0001)])

  private func compile(
    _ service: Service, _ slices: [EndpointSlice], settings: ServiceSettings = ServiceSettings()
  ) throws -> CompiledService {
    var book = ServiceBook(node: node, settings: settings)
    book.apply(.replaced([service]))
    book.apply(.replaced(slices))
    return try #require(book.compiled(ServiceName(namespace: "default", name: service.metadata.name)))
  }

  private func compile(_ service: Service, _ endpoints: [String]) throws -> CompiledService {
    try compile(service, [Objects.slice("s1", of: service.metadata.name, endpoints)])
  }

  @Test func clusterIP() throws {
    let compiled = try compile(
      Objects.service("web"), [Objects.endpoint("10.0.0.2"), Objects.endpoint("10.0.0.1", node: "a")])
    #expect(compiled.inside == ["10.96.0.10:80/TCP": ["10.0.0.1:8080", "10.0.0.2:8080"]])
    #expect(compiled.outside.isEmpty)
    #expect(compiled.balancer("10.96.0.10:80/TCP")?.members.map(\.isLocal) == [true, false])
    #expect(compiled.problems.isEmpty)
  }

  @Test(arguments: [
    // ready ones alone; without any, those that end and still serve (KEP-1669)
    (["ready", "terminating", "notReady", "gone"], [1]),
    (["notReady", "terminating", "gone", "terminating"], [2, 4]),
    (["notReady", "gone"], []),
  ])
  func conditions(states: [String], chosen: [Int]) throws {
    let endpoints = states.enumerated().map { Objects.endpoint("10.0.0.\($0 + 1)", state: $1) }
    let compiled = try compile(Objects.service("web"), endpoints)
    #expect(compiled.inside["10.96.0.10:80/TCP"] == chosen.map { "10.0.0.\($0):8080" })
    #expect(compiled.endpoints.values.first?.count == states.count)
  }

  @Test func notReadyAddressesArePublished() throws {
    let service = try Objects.service("web", spec: #""publishNotReadyAddresses":true"#)
    let compiled = try compile(service, [Objects.endpoint("10.0.0.1", state: "notReady")])
    #expect(compiled.inside["10.96.0.10:80/TCP"] == ["10.0.0.1:8080"])
  }

  private struct Policy: Sendable {
    let internalLocal: Bool
    let externalLocal: Bool
    let endpoints: [String]
    let clusterIP: [String]
    let nodePortInside: [String]
    let nodePortOutside: [String]
    var drops = (inside: false, outside: false)
  }

  @Test func trafficPolicies() throws {
    let here = Objects.endpoint("10.0.0.1", node: "a")
    let hereEnding = Objects.endpoint("10.0.0.3", node: "a", state: "terminating")
    let there = Objects.endpoint("10.0.0.2", node: "b")
    let (one, two, three) = ("10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080")
    let scenarios = [
      Policy(
        internalLocal: false, externalLocal: false, endpoints: [here, there], clusterIP: [one, two],
        nodePortInside: [one, two], nodePortOutside: [one, two]),
      Policy(
        internalLocal: true, externalLocal: false, endpoints: [here, there], clusterIP: [one],
        nodePortInside: [one, two], nodePortOutside: [one, two]),
      Policy(
        internalLocal: false, externalLocal: true, endpoints: [here, there], clusterIP: [one, two],
        nodePortInside: [one, two], nodePortOutside: [one]),
      // Nobody here, somebody elsewhere: dropped, not refused.
      Policy(
        internalLocal: true, externalLocal: true, endpoints: [there], clusterIP: [], nodePortInside: [two],
        nodePortOutside: [], drops: (true, true)),
      // Here one that ends is better than one elsewhere for those who must stay here.
      Policy(
        internalLocal: true, externalLocal: true, endpoints: [hereEnding, there], clusterIP: [three],
        nodePortInside: [two], nodePortOutside: [three]),
      // Nobody anywhere: refused.
      Policy(
        internalLocal: true, externalLocal: true, endpoints: [], clusterIP: [], nodePortInside: [], nodePortOutside: []),
    ]
    for scenario in scenarios {
      let service = try Objects.service(
        "web", type: "NodePort",
        spec: """
          "internalTrafficPolicy":"\(scenario.internalLocal ? "Local" : "Cluster")",
          "externalTrafficPolicy":"\(scenario.externalLocal ? "Local" : "Cluster")"
          """, ports: #"{"port":80,"protocol":"TCP","nodePort":30080}"#)
      let compiled = try compile(service, scenario.endpoints)
      #expect(compiled.inside["10.96.0.10:80/TCP"] == scenario.clusterIP, "\(scenario)")
      #expect(compiled.inside["0.0.0.0:30080/TCP"] == scenario.nodePortInside, "\(scenario)")
      #expect(compiled.outside["0.0.0.0:30080/TCP"] == scenario.nodePortOutside, "\(scenario)")
      #expect(compiled.balancer("10.96.0.10:80/TCP")?.drops == scenario.drops.inside, "\(scenario)")
      #expect(compiled.balancer("0.0.0.0:30080/TCP", outside: true)?.drops == scenario.drops.outside, "\(scenario)")
      #expect(compiled.balancer("0.0.0.0:30080/TCP", outside: true)?.keepsSource == scenario.externalLocal)
    }
  }

  @Test(
    arguments: [
      // every endpoint has hints and some are for this zone
      ([["z1"], ["z2"], ["z1", "z2"]], [[], [], []], [1, 3]),
      // one has none: all
      ([["z1"], [], ["z1"]], [[], [], []], [1, 2, 3]),
      // none for this zone: all
      ([["z2"], ["z3"], ["z2"]], [[], [], []], [1, 2, 3]),
      // hints for nodes come first
      ([["z1"], ["z1"], ["z2"]], [["b"], ["a"], ["a"]], [2, 3]),
      // and zones stand in where no node is hinted
      ([["z1"], ["z1"], ["z2"]], [["b"], ["c"], ["d"]], [1, 2]),
    ] as [([[String]], [[String]], [Int])])
  func hints(zones: [[String]], nodes: [[String]], chosen: [Int]) throws {
    let endpoints = zip(zones, nodes).enumerated().map {
      Objects.endpoint("10.0.0.\($0 + 1)", zones: $1.0, nodes: $1.1)
    }
    let compiled = try compile(Objects.service("web"), endpoints)
    #expect(compiled.inside["10.96.0.10:80/TCP"] == chosen.map { "10.0.0.\($0):8080" })
  }

  @Test func loadBalancer() throws {
    let service = try Objects.service(
      "web", type: "LoadBalancer",
      spec: #""loadBalancerSourceRanges":["192.0.2.0/24"],"externalIPs":["198.51.100.7"]"#,
      ports: #"{"port":80,"protocol":"TCP","nodePort":30080}"#, ingress: ["203.0.113.5"])
    let compiled = try compile(service, [Objects.endpoint("10.0.0.1")])
    #expect(
      Set(compiled.outside.keys) == ["203.0.113.5:80/TCP", "198.51.100.7:80/TCP", "0.0.0.0:30080/TCP"])
    #expect(
      try compiled.balancer("203.0.113.5:80/TCP", outside: true)?.sourceRanges == [#require(CIDR("192.0.2.0/24"))])
    #expect(compiled.balancer("203.0.113.5:80/TCP")?.sourceRanges == nil)
    #expect(compiled.balancer("0.0.0.0:30080/TCP", outside: true)?.sourceRanges == nil)
  }

  @Test func rangesOfOneFamilyShutTheOtherOut() throws {
    let service = try Objects.service(
      "web", clusterIPs: ["10.96.0.10", "fd00::10"], type: "LoadBalancer",
      spec: #""loadBalancerSourceRanges":["192.0.2.0/24"]"#, ingress: ["203.0.113.5", "2001:db8::5"])
    let compiled = try compile(service, [])
    #expect(compiled.balancer("[2001:db8::5]:80/TCP", outside: true)?.sourceRanges == [])
  }

  @Test(
    arguments: [(nil, true), ("io.cilium/l2-announcer", true), ("service.k8s.aws/nlb", false)] as [(String?, Bool)])
  func loadBalancerClasses(name: String?, isOurs: Bool) throws {
    let service = try Objects.service(
      "web", type: "LoadBalancer", spec: name.map { "\"loadBalancerClass\":\"\($0)\"" } ?? "", ingress: ["203.0.113.5"])
    let compiled = try compile(service, [Objects.endpoint("10.0.0.1")])
    #expect((compiled.inside["203.0.113.5:80/TCP"] != nil) == isOurs)
    #expect(compiled.inside["10.96.0.10:80/TCP"] != nil)
  }

  @Test func healthCheck() throws {
    let service = try Objects.service(
      "web", type: "LoadBalancer", spec: #""externalTrafficPolicy":"Local","healthCheckNodePort":32000"#)
    let endpoints = [
      Objects.endpoint("10.0.0.1", node: "a"), Objects.endpoint("10.0.0.2", node: "a", state: "terminating"),
      Objects.endpoint("10.0.0.3"),
    ]
    let check = try compile(service, endpoints).healthCheck
    #expect(check?.port == 32000)
    #expect(check?.localEndpoints == 1)
  }

  @Test func bothFamiliesAndSeveralPorts() throws {
    let service = try Objects.service(
      "dns", clusterIPs: ["10.96.0.10", "fd00::10"], type: "NodePort",
      ports: """
        {"name":"udp","port":53,"protocol":"UDP","nodePort":30053},{"name":"tcp","port":53,"protocol":"TCP"}
        """)
    let ports = #"{"name":"udp","port":5353,"protocol":"UDP"},{"name":"tcp","port":5354,"protocol":"TCP"}"#
    let compiled = try compile(
      service,
      [
        Objects.slice("v4", of: "dns", [Objects.endpoint("10.0.0.1")], port: ports),
        Objects.slice("v6", of: "dns", [Objects.endpoint("fd01::1")], port: ports, family: "IPv6"),
      ])
    #expect(
      compiled.inside == [
        "10.96.0.10:53/UDP": ["10.0.0.1:5353"], "10.96.0.10:53/TCP": ["10.0.0.1:5354"],
        "[fd00::10]:53/UDP": ["[fd01::1]:5353"], "[fd00::10]:53/TCP": ["[fd01::1]:5354"],
        "0.0.0.0:30053/UDP": ["10.0.0.1:5353"], "[::]:30053/UDP": ["[fd01::1]:5353"],
      ])
  }

  @Test func whatIsNotBalanced() throws {
    let slice = [Objects.endpoint("10.0.0.1")]
    let ignored = [
      try Objects.service("headless", clusterIPs: ["None"]),
      try Objects.service("name", clusterIPs: [], type: "ExternalName", spec: #""externalName":"example.org""#),
      try Objects.service("other", labels: ["service.kubernetes.io/service-proxy-name": "other"]),
    ]
    for service in ignored {
      let compiled = try compile(service, slice)
      #expect(compiled.frontends.isEmpty, "\(compiled)")
      #expect(compiled.problems.isEmpty)
    }
  }

  @Test func affinityAlgorithmAndWeights() throws {
    let service = try Objects.service(
      "web",
      spec: #""sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":42}}"#,
      annotations: ["service.cilium.io/lb-algorithm": "maglev"])
    let compiled = try compile(
      service,
      [
        Objects.slice("s1", of: "web", [Objects.endpoint("10.0.0.1")]),
        Objects.slice("s2", of: "web", [Objects.endpoint("10.0.0.2")], annotations: [EndpointWeight.annotation: "10"]),
        Objects.slice("s3", of: "web", [Objects.endpoint("10.0.0.3")], annotations: [EndpointWeight.annotation: "0"]),
      ])
    let balancer = try #require(compiled.balancer("10.96.0.10:80/TCP"))
    #expect(balancer.affinity == 42)
    #expect(balancer.algorithm == .maglev)
    #expect(balancer.members.map(\.weight) == [100, 10])
    #expect(compiled.endpoints.values.first?.map(\.state) == [.ready, .ready, .drained])
  }

  @Test func anEndpointInTwoSlicesIsOne() throws {
    let compiled = try compile(
      Objects.service("web"),
      [
        Objects.slice("s1", of: "web", [Objects.endpoint("10.0.0.1", state: "notReady")]),
        Objects.slice("s2", of: "web", [Objects.endpoint("10.0.0.1")]),
      ])
    #expect(compiled.inside["10.96.0.10:80/TCP"] == ["10.0.0.1:8080"])
  }

  @Test func anEndpointAtTheNodesAddressIsLocal() throws {
    let compiled = try compile(
      Objects.service("api", spec: #""internalTrafficPolicy":"Local""#), [Objects.endpoint("192.168.0.1", node: nil)])
    #expect(compiled.inside["10.96.0.10:80/TCP"] == ["192.168.0.1:8080"])
  }
}
