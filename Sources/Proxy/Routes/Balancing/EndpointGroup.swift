import Balancing
import Routing
import Synchronization

/// Endpoints that requests are spread over by a cluster's policy: those of one priority that serve, say. Immutable.
final class EndpointGroup: Sendable {
  let endpoints: [RoutedEndpoint]
  let weights: [UInt32]
  private let shares: Shares
  private let choice: EndpointChoice
  private let turns: Turns

  init(_ endpoints: [RoutedEndpoint], weights: [UInt32], _ balancing: Cluster.Balancing, turns: Turns) {
    self.endpoints = endpoints
    self.weights = weights
    self.turns = turns
    shares = Shares(weights)
    choice = EndpointChoice(endpoints, weights, balancing)
  }

  /// Whether it has these endpoints, each with that weight.
  func consists(of endpoints: [RoutedEndpoint], weights: [UInt32]) -> Bool {
    self.weights == weights && self.endpoints.elementsEqual(endpoints) { $0 === $1 }
  }

  /// The endpoint for a request; the parameters are those of ``RoutedCluster/pick(random:hash:avoiding:)``.
  func pick(random: UInt64, hash: UInt64?, avoiding: [SocketAddress]) -> RoutedEndpoint? {
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
    let left = Double(endpoints[index].active) * Double(weights[other])
    return left < Double(endpoints[other].active) * Double(weights[index])
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

  init(_ endpoints: [RoutedEndpoint], _ weights: [UInt32], _ balancing: Cluster.Balancing) {
    func seats() -> [Seat] {
      zip(endpoints, weights).map { Seat($0.address.address, port: $0.address.port, weight: Int($1)) }
    }
    // There is nothing to choose.
    if endpoints.count < 2 {
      self = .random
      return
    }
    switch balancing {
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
final class Turns: Sendable {
  private let value = Atomic<UInt64>(0)

  func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

extension UInt64 {
  /// Another random number.
  func scrambled(_ number: UInt64) -> UInt64 { SplitMix64.mix(self &+ number &* SplitMix64.increment) }
}
