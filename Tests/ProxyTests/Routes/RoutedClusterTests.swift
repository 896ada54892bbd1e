import Addressing
import JSON
import Testing

@testable import Proxy
@testable import Routing

@Suite struct RoutedClusterTests {
  private typealias Seat = ClusterSpecification.Seat

  private func address(_ number: Int) -> SocketAddress {
    // Both families in one cluster.
    let isV4 = number.isMultiple(of: 2)
    let ip = isV4 ? IPAddress(v4: 0x0A00_0000 + UInt32(number)) : IPAddress(high: 0xFD00 << 48, low: UInt64(number))
    return SocketAddress(ip, port: 80)
  }

  private func cluster(
    _ balancing: Cluster.Balancing, _ weights: [UInt32], reusing previous: RoutedCluster? = nil
  ) -> RoutedCluster {
    let seats = weights.enumerated().filter { $0.element > 0 }.map { index, weight in
      Seat(address: address(index), hostname: "", weight: weight)
    }
    return RoutedCluster(
      ClusterSpecification(name: "c", settings: .init(balancing: balancing), seats: seats),
      metrics: ClusterMetrics(.init(object: "o", cluster: "c")), reusing: previous)
  }

  private func counts(_ cluster: RoutedCluster, _ requests: Int, hash: (Int) -> UInt64? = { _ in nil }) -> [Int] {
    var random = SystemRandomNumberGenerator()
    var counts: [SocketAddress: Int] = [:]
    for request in 0..<requests {
      guard let endpoint = cluster.pick(random: random.next(), hash: hash(request)) else { continue }
      counts[endpoint.address, default: 0] += 1
    }
    return cluster.endpoints.map { counts[$0.address] ?? 0 }
  }

  @Test func `without endpoints there is none`() {
    #expect(cluster(.roundRobin, []).pick(random: 1) == nil)
    #expect(cluster(.roundRobin, [1]).pick(random: 1, avoiding: [address(0)])?.address == address(0))
  }

  static let policies: [Cluster.Balancing] = [
    .roundRobin, .random, .leastRequest(choices: 2), .leastRequest(choices: 100),
    .ringHash(minimum: 1024, maximum: 1 << 20), .maglev(entries: 65537),
  ]

  /// Within five standard deviations; a ring's points are not spread that evenly.
  @Test(arguments: policies) func `every endpoint has its share`(_ policy: Cluster.Balancing) {
    let count = 10
    let counts = counts(cluster(policy, Array(repeating: 1, count: count)), 20_000)
    var limit = 5 * (2000.0 * 0.9).squareRoot()
    if case .ringHash = policy { limit = 700 }
    for share in counts { #expect(abs(Double(share) - 2000) < limit, "\(policy): \(counts)") }
  }

  /// Of `RANDOM`, as in Envoy, weights mean nothing.
  static let shares: [(Cluster.Balancing, Double)] = [
    (.roundRobin, 0.9), (.leastRequest(choices: 2), 0.9), (.maglev(entries: 65537), 0.9),
    (.ringHash(minimum: 10000, maximum: 1 << 20), 0.9), (.random, 0.5),
  ]

  @Test(arguments: shares)
  func `weights are shares`(_ policy: Cluster.Balancing, _ expected: Double) {
    // In the order of the addresses: the one with 90 is IPv6.
    let cluster = cluster(policy, [10, 90])
    let heavy = cluster.endpoints.firstIndex { $0.address == address(1) }
    let share = Double(counts(cluster, 20_000)[heavy ?? 0]) / 20_000
    #expect(abs(share - expected) < 0.03, "\(policy): \(share)")
  }

  @Test func `weighted turns hold within every hundred`() {
    let cluster = cluster(.roundRobin, [90, 10])
    let light = cluster.endpoints.firstIndex { $0.address == address(1) } ?? 0
    for _ in 0..<50 { #expect(abs(counts(cluster, 100)[light] - 10) <= 2) }
  }

  @Test(arguments: policies) func `what failed is avoided`(_ policy: Cluster.Balancing) {
    let cluster = cluster(policy, [1, 1, 1, 1])
    for request in 0..<200 {
      var tried: [SocketAddress] = []
      for _ in 0..<4 {
        guard let endpoint = cluster.pick(random: UInt64(request), hash: 7, avoiding: tried) else { continue }
        tried.append(endpoint.address)
      }
      #expect(Set(tried).count == 4, "\(policy)")
      #expect(cluster.pick(random: 1, hash: 7, avoiding: tried) != nil)
    }
  }

  @Test func `the least loaded of two`() {
    let cluster = cluster(.leastRequest(choices: 2), [1, 1, 1])
    for _ in 0..<10 { cluster.endpoints[0].began() }
    // Drawn twice it is taken all the same: a ninth of the time.
    let counts = counts(cluster, 9000)
    #expect(abs(counts[0] - 1000) < 200, "\(counts)")
    #expect(self.counts(self.cluster(.leastRequest(choices: 2), [1, 1, 1], reusing: cluster), 9000)[0] < 1200)
  }

  @Test func `the least loaded of all`() {
    let cluster = cluster(.leastRequest(choices: 9), [1, 1, 1, 1])
    for index in [0, 1, 3] { cluster.endpoints[index].began() }
    #expect(counts(cluster, 100) == [0, 0, 100, 0])
    cluster.endpoints[2].began()
    cluster.endpoints[2].began()
    cluster.endpoints[0].ended(failed: true)
    #expect(counts(cluster, 100) == [100, 0, 0, 0])
    #expect(cluster.endpoints[0].failures == 1 && cluster.endpoints[2].total == 2)
  }

  static let hashing: [Cluster.Balancing] = [.ringHash(minimum: 1024, maximum: 1 << 20), .maglev(entries: 65537)]

  @Test(arguments: hashing)
  func `a hash has one endpoint, and few move when one goes`(_ policy: Cluster.Balancing) {
    let before = cluster(policy, Array(repeating: 1, count: 20))
    let after = cluster(policy, Array(repeating: 1, count: 19) + [0], reusing: before)
    var moved = 0
    for step in 0..<10_000 {
      let hash = UInt64(step) &* 0x9E37_79B9_7F4A_7C15
      let old = before.pick(random: 1, hash: hash)
      #expect(old === before.pick(random: 2, hash: hash))
      let new = after.pick(random: 3, hash: hash)
      if old?.address != address(19), new?.address != old?.address { moved += 1 }
    }
    // A ring moves nothing but what the one that went had; Maglev's few are counted.
    #expect(moved < 800, "\(policy): \(moved)")
  }

  @Test func `endpoints that stay are the same objects`() {
    let before = cluster(.roundRobin, [1, 1, 1])
    before.endpoints[0].began()
    let first = before.endpoints[0].address
    let after = cluster(.roundRobin, [1, 2, 1, 1], reusing: before)
    #expect(after.endpoints.count == 4)
    for endpoint in before.endpoints { #expect(after.endpoints.contains { $0 === endpoint }) }
    #expect(after.endpoints.first { $0.address == first }?.active == 1)
  }

  @Test func `an address is one endpoint in each priority`() throws {
    func endpoints(_ address: JSONValue, _ priority: JSONValue) -> JSONValue {
      [
        "priority": priority,
        "lb_endpoints": [
          ["endpoint": ["address": ["socket_address": ["address": address, "port_value": 1]]]]
        ],
      ]
    }
    let assignment = try LoadAssignment(
      JSONCursor([
        "cluster_name": "c",
        "endpoints": [
          ["priority": 0, "lb_endpoints": []], endpoints("10.0.0.2", 2), endpoints("10.0.0.1", 1),
          endpoints("fd00::1", 1), endpoints("fd00::1", 1), endpoints("10.0.0.1", 2),
        ],
      ]))
    let specification = ClusterSpecification(name: "c", seats: assignment.seats)
    #expect(
      specification.seats.map { "\($0.priority) \($0.address)" } == [
        "1 10.0.0.1:1", "1 [fd00::1]:1", "2 10.0.0.1:1", "2 10.0.0.2:1",
      ])
    // What is written twice has the weight of both.
    #expect(specification.seats.map(\.weight) == [1, 2, 1, 1])
    // The first priority that has endpoints serves, as long as they do.
    let cluster = RoutedCluster(specification, metrics: ClusterMetrics(.init(object: "o", cluster: "c")))
    #expect(cluster.endpoints[0] === cluster.endpoints[2])
    for random in 0..<200 { #expect(cluster.pick(random: UInt64(random))?.address.address != address(2).address) }
  }
}
