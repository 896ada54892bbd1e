import Routing

/// What a cluster is to be: two that are equal are one cluster.
struct ClusterSpecification: Hashable, Sendable {
  struct Seat: Hashable, Sendable {
    let address: SocketAddress
    let hostname: String
    var weight: UInt32
  }

  let name: String
  let connectTimeout: Duration
  let balancing: Cluster.Balancing
  let breakers: CircuitBreakers
  var version = Cluster.Version.http1
  /// Those that serve, each address once, sorted.
  let seats: [Seat]

  /// Endpoints of the lowest priority that has any, as long as nothing says whether they are healthy. An address that is
  /// written more than once has the weights of all.
  init(
    name: String, connectTimeout: Duration = ClusterSpecification.connectTimeout,
    balancing: Cluster.Balancing = .roundRobin, breakers: CircuitBreakers = .unlimited, assignment: LoadAssignment
  ) {
    let first = assignment.endpoints.map(\.priority).min()
    self.init(
      name: name, connectTimeout: connectTimeout, balancing: balancing, breakers: breakers,
      seats: assignment.endpoints.filter { $0.priority == first }.map { endpoint in
        Seat(
          address: SocketAddress(endpoint.address, port: endpoint.port), hostname: endpoint.hostname,
          weight: endpoint.weight)
      })
  }

  init(
    name: String, connectTimeout: Duration = ClusterSpecification.connectTimeout,
    balancing: Cluster.Balancing = .roundRobin, breakers: CircuitBreakers = .unlimited, seats: [Seat]
  ) {
    self.name = name
    self.connectTimeout = connectTimeout
    self.balancing = balancing
    self.breakers = breakers
    var merged: [Seat] = []
    for seat in seats.sorted(by: { $0.address < $1.address }) {
      if let last = merged.last, last.address == seat.address {
        let (sum, overflow) = last.weight.addingReportingOverflow(seat.weight)
        merged[merged.count - 1].weight = overflow ? .max : sum
      } else {
        merged.append(seat)
      }
    }
    self.seats = merged
  }

  /// The same with the endpoints of one family.
  func ofFamily(isIPv4: Bool) -> ClusterSpecification {
    var family = ClusterSpecification(
      name: name, connectTimeout: connectTimeout, balancing: balancing, breakers: breakers,
      seats: seats.filter { $0.address.address.isIPv4 == isIPv4 })
    family.version = version
    return family
  }

  /// Where nothing else is written, as for a Cluster.
  static let connectTimeout = Duration.seconds(5)
}

extension SocketAddress: Comparable {
  public static func < (left: SocketAddress, right: SocketAddress) -> Bool {
    (left.address, left.port) < (right.address, right.port)
  }
}
