import Balancing
import Routing
import Synchronization

/// The endpoints of a cluster, and how one is chosen for each request. Immutable, but for what is counted: other endpoints
/// make another cluster, which takes the endpoints that stay, the turns and the metrics over.
public final class RoutedCluster: Sendable {
  let specification: ClusterSpecification
  /// Those that serve, sorted by their addresses.
  public let endpoints: [RoutedEndpoint]
  public let metrics: ClusterMetrics
  private let shares: Shares
  private let choice: EndpointChoice
  private let turns: Turns
  /// The endpoints of one family each, where there are both.
  private let families: (ipv4: RoutedCluster, ipv6: RoutedCluster)?

  public var name: String { specification.name }
  public var breakers: CircuitBreakers { specification.breakers }
  /// What is spoken to the endpoints.
  public var version: Cluster.Version { specification.version }
  /// For a connection to an endpoint.
  public var connectTimeout: Duration { specification.connectTimeout }

  /// - Parameter previous: The cluster of that name until now.
  convenience init(
    _ specification: ClusterSpecification, metrics: ClusterMetrics, reusing previous: RoutedCluster? = nil
  ) {
    let known = Dictionary(
      previous?.endpoints.map { ($0.address, $0) } ?? [], uniquingKeysWith: { first, _ in first })
    let endpoints = specification.seats.map { seat in
      if let endpoint = known[seat.address], endpoint.hostname == seat.hostname { return endpoint }
      return RoutedEndpoint(seat.address, hostname: seat.hostname)
    }
    self.init(specification, endpoints, metrics: metrics, reusing: previous)
  }

  private init(
    _ specification: ClusterSpecification, _ endpoints: [RoutedEndpoint], metrics: ClusterMetrics,
    reusing previous: RoutedCluster?
  ) {
    self.specification = specification
    self.endpoints = endpoints
    self.metrics = metrics
    turns = previous?.turns ?? Turns()
    shares = Shares(specification.seats.map(\.weight))
    choice = EndpointChoice(specification)
    func family(isIPv4: Bool, _ previous: RoutedCluster?) -> RoutedCluster {
      RoutedCluster(
        specification.ofFamily(isIPv4: isIPv4), endpoints.filter { $0.address.address.isIPv4 == isIPv4 },
        metrics: metrics, reusing: previous)
    }
    if let first = endpoints.first?.address.address.isIPv4,
      endpoints.contains(where: { $0.address.address.isIPv4 != first })
    {
      families = (
        family(isIPv4: true, previous?.families?.ipv4), family(isIPv4: false, previous?.families?.ipv6)
      )
    } else {
      families = nil
    }
  }

  /// The cluster as a client sees it that can only talk to servers of its own family, as it keeps its address towards them.
  /// nil where it has no such endpoint.
  func reachable(isIPv4: Bool) -> RoutedCluster? {
    if let families { return isIPv4 ? families.ipv4 : families.ipv6 }
    return endpoints.first?.address.address.isIPv4 == isIPv4 ? self : nil
  }

  /// The endpoint for a request; nil where there is none.
  ///
  /// - Parameters:
  ///   - random: Any number, also the one that chose the route.
  ///   - hash: Of what the route's hash policies name; without one `random` takes its place.
  ///   - avoiding: Endpoints that have failed this request: taken again only when there are no others.
  public func pick(random: UInt64, hash: UInt64? = nil, avoiding: [SocketAddress] = []) -> RoutedEndpoint? {
    guard endpoints.count > 1 else { return endpoints.first }
    let first = endpoints[candidate(random, hash, attempt: 0)]
    guard avoiding.contains(first.address) else { return first }
    for attempt in 1...max(4, avoiding.count) {
      let endpoint = endpoints[candidate(random, hash, attempt: UInt64(attempt))]
      if !avoiding.contains(endpoint.address) { return endpoint }
    }
    return endpoints.first { !avoiding.contains($0.address) } ?? first
  }

  private func candidate(_ random: UInt64, _ hash: UInt64?, attempt: UInt64) -> Int {
    switch choice {
    case .roundRobin: shares.index(ofTurn: turns.next())
    case .random:
      Int(UInt64(endpoints.count).multipliedFullWidth(by: random.scrambled(attempt &+ 1)).high)
    case .leastRequest(let choices): leastRequested(choices, random.scrambled(attempt &+ 1))
    case .ring(let ring): ring.seat(at: ring.place(of: hash ?? random.scrambled(1)) &+ Int(attempt))
    case .maglev(let table): Int(table[Int(((hash ?? random.scrambled(1)) ^ (0 &- attempt)) % UInt64(table.count))])
    }
  }

  /// Of some that are drawn by their weights, the one with the fewest requests for its weight; the first drawn of several.
  private func leastRequested(_ choices: UInt32, _ random: UInt64) -> Int {
    var best = shares.index(at: random)
    if Int(choices) >= endpoints.count {
      for index in endpoints.indices where isLessLoaded(index, than: best) { best = index }
      return best
    }
    for choice in 1..<UInt64(max(choices, 2)) {
      let index = shares.index(at: random.scrambled(choice))
      if isLessLoaded(index, than: best) { best = index }
    }
    return best
  }

  private func isLessLoaded(_ index: Int, than other: Int) -> Bool {
    let left = Double(endpoints[index].active) * Double(specification.seats[other].weight)
    return left < Double(endpoints[other].active) * Double(specification.seats[index].weight)
  }
}

/// What a policy needs to choose by.
private enum EndpointChoice: Sendable {
  case roundRobin
  case random
  case leastRequest(UInt32)
  case ring(HashRing)
  /// For each entry, the index of its endpoint.
  case maglev([Int32])

  init(_ specification: ClusterSpecification) {
    func seats() -> [Seat] {
      specification.seats.map { Seat($0.address.address, port: $0.address.port, weight: Int($0.weight)) }
    }
    // There is nothing to choose.
    if specification.seats.count < 2 {
      self = .random
      return
    }
    switch specification.balancing {
    case .roundRobin: self = .roundRobin
    case .random: self = .random
    case .leastRequest(let choices): self = .leastRequest(choices)
    case .ringHash(let minimum, let maximum):
      self = .ring(HashRing(seats(), minimum: minimum, maximum: maximum))
    case .maglev(let entries): self = .maglev(MaglevTable.build(seats(), size: Int(entries)))
    }
  }
}

/// Whose turn it is; goes on when the endpoints change.
private final class Turns: Sendable {
  private let value = Atomic<UInt64>(0)

  func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

extension UInt64 {
  /// Another random number.
  fileprivate func scrambled(_ number: UInt64) -> UInt64 { SplitMix64.mix(self &+ number &* SplitMix64.increment) }
}
