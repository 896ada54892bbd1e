import Routing

/// What a cluster is to be: two that are equal are one cluster.
struct ClusterSpecification: Hashable, Sendable {
  struct Seat: Hashable, Sendable {
    let address: SocketAddress
    let hostname: String
    var weight: UInt32
    var priority: UInt32 = 0
    var status = LoadAssignment.HealthStatus.unknown
    var check = LoadAssignment.CheckTarget.same
  }

  /// What is the same whatever the endpoints are.
  struct Settings: Hashable, Sendable {
    var connectTimeout = ClusterSpecification.connectTimeout
    var balancing = Cluster.Balancing.roundRobin
    var breakers = CircuitBreakers.unlimited
    var version = Cluster.Version.http1
    var panicThreshold = CommonBalancing.standard.panicThreshold
    var outlierDetection: OutlierDetection?
    var healthCheck: HealthCheck?
    /// Its endpoints are what names are resolved to.
    var isResolved = false
  }

  let name: String
  let settings: Settings
  /// Each address once in each priority, sorted by both.
  let seats: [Seat]

  var connectTimeout: Duration { settings.connectTimeout }
  var balancing: Cluster.Balancing { settings.balancing }
  var breakers: CircuitBreakers { settings.breakers }
  var panicThreshold: UInt32 { settings.panicThreshold }

  /// An address that is written more than once in a priority has the weights of all.
  init(name: String, settings: Settings = Settings(), seats: [Seat]) {
    self.name = name
    self.settings = settings
    var merged: [Seat] = []
    for seat in seats.sorted(by: { ($0.priority, $0.address) < ($1.priority, $1.address) }) {
      if let last = merged.last, last.address == seat.address, last.priority == seat.priority {
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
    ClusterSpecification(name: name, settings: settings, seats: seats.filter { $0.address.address.isIPv4 == isIPv4 })
  }

  /// Whether an endpoint may be there and not serve.
  var hasHealth: Bool {
    settings.outlierDetection != nil || settings.healthCheck != nil || seats.contains { $0.status != .unknown }
  }

  func identity(_ seat: Seat) -> RoutedEndpoint.Identity {
    let check = settings.healthCheck.flatMap { check -> EndpointCheck? in
      guard !seat.check.isDisabled else { return nil }
      var host = seat.check.hostname
      if host.isEmpty, case .http(let probe) = check.probe { host = probe.host }
      return EndpointCheck(
        check: check,
        address: SocketAddress(
          seat.check.address ?? seat.address.address, port: seat.check.port ?? seat.address.port),
        host: host.isEmpty ? name : host)
    }
    return RoutedEndpoint.Identity(
      address: seat.address, hostname: seat.hostname, check: check, outlierDetection: settings.outlierDetection)
  }

  /// Where nothing else is written, as for a Cluster.
  static let connectTimeout = Duration.seconds(5)
}

extension ClusterSpecification.Settings {
  init(_ cluster: Cluster) {
    connectTimeout = cluster.connectTimeout
    balancing = cluster.balancing
    breakers = cluster.breakers
    version = cluster.version
    panicThreshold = cluster.common.panicThreshold
    outlierDetection = cluster.outlierDetection
    healthCheck = cluster.healthCheck
    isResolved = cluster.discovery.resolvesNames
  }
}

extension ClusterSpecification.Seat {
  init(_ endpoint: LoadAssignment.Endpoint, at address: SocketAddress, hostname: String) {
    self.address = address
    self.hostname = hostname
    weight = endpoint.weight
    priority = endpoint.priority
    status = endpoint.status
    check = endpoint.check
  }
}

extension LoadAssignment {
  /// Those of its endpoints that need no name to be resolved.
  var seats: [ClusterSpecification.Seat] {
    endpoints.compactMap { endpoint in
      guard case .address(let ip) = endpoint.host else { return nil }
      return .init(endpoint, at: SocketAddress(ip, port: endpoint.port), hostname: endpoint.hostname)
    }
  }
}

extension SocketAddress: Comparable {
  public static func < (left: SocketAddress, right: SocketAddress) -> Bool {
    (left.address, left.port) < (right.address, right.port)
  }
}
