public import JSON
import Routing

/// How the endpoints of clusters are of which something may say that they do not serve: `DIR/proxy/health.json`, by the proxy.
///
///     {"clusters": [{"object": "CiliumEnvoyConfig default/x", "name": "one", "panic": false, "endpoints":
///       [{"address": "10.0.0.1:80", "health": "unhealthy", "reasons": ["failed check: connection refused"]}]}]}
public struct HealthReport: Hashable, Sendable {
  public struct ClusterHealth: Hashable, Sendable {
    public let object: String
    public let name: String
    /// Requests go to endpoints that do not serve, as too few do.
    public let isPanicking: Bool
    public let endpoints: [EndpointStanding]
  }

  public let clusters: [ClusterHealth]

  init(clusters: [ClusterHealth]) { self.clusters = clusters }

  public func cluster(_ name: String, of object: String) -> ClusterHealth? {
    clusters.first { $0.name == name && $0.object == object }
  }

  var json: JSONValue {
    [
      "clusters": .array(
        clusters.map {
          [
            "object": .string($0.object), "name": .string($0.name), "panic": .bool($0.isPanicking),
            "endpoints": .array($0.endpoints.map(\.json)),
          ]
        })
    ]
  }

  /// Decodes what ``json`` encodes.
  init(_ cursor: JSONCursor) throws(FieldError) {
    var clusters: [ClusterHealth] = []
    for cluster in try cursor.required("clusters").elements() {
      var endpoints: [EndpointStanding] = []
      for endpoint in try cluster.required("endpoints").elements() { endpoints.append(try EndpointStanding(endpoint)) }
      clusters.append(
        ClusterHealth(
          object: try cluster.required("object").string(), name: try cluster.required("name").string(),
          isPanicking: try cluster.required("panic").bool(), endpoints: endpoints))
    }
    self.clusters = clusters
  }
}

/// How an endpoint is, and why.
public struct EndpointStanding: Hashable, Sendable {
  public let address: String
  public let weight: UInt32
  public let priority: UInt32
  /// `healthy`, `degraded` or `unhealthy`.
  public let health: String
  /// As a person reads them; also of a healthy one that is about not to be.
  public let reasons: [String]

  public var json: JSONValue {
    [
      "address": .string(address), "weight": .integer(Int64(weight)), "priority": .integer(Int64(priority)),
      "health": .string(health), "reasons": .array(reasons.map { .string($0) }),
    ]
  }
}

extension EndpointStanding {
  init(_ cursor: JSONCursor) throws(FieldError) {
    address = try cursor.required("address").string()
    weight = UInt32(clamping: try cursor.required("weight").integer())
    priority = UInt32(clamping: try cursor.required("priority").integer())
    health = try cursor.required("health").string()
    var reasons: [String] = []
    for reason in try cursor.required("reasons").elements() { reasons.append(try reason.string()) }
    self.reasons = reasons
  }
}

extension RoutedCluster {
  /// Whether requests go to endpoints that do not serve, as too few do.
  public var isPanicking: Bool { serving.isPanicking }

  /// - Parameter reasons: What is known beyond the configuration.
  func standings(_ reasons: (RoutedEndpoint) -> [String] = { _ in [] }) -> [EndpointStanding] {
    zip(endpoints, specification.seats).map { endpoint, seat in
      let isSaid = seat.status != .unknown && seat.status != .healthy
      let said = isSaid ? ["\(seat.status.rawValue) by its configuration"] : []
      return EndpointStanding(
        address: "\(endpoint.address)", weight: seat.weight, priority: seat.priority,
        health: endpoint.health.verdict(status: seat.status).rawValue, reasons: said + reasons(endpoint))
    }
  }

  /// How the endpoints are, by what the proxy has said; without that, by the configuration alone.
  public func standings(_ report: HealthReport?, of object: String) -> [EndpointStanding] {
    report?.cluster(name, of: object)?.endpoints
      ?? standings { $0.identity.check == nil ? [] : ["the proxy has not said yet whether it passes its checks"] }
  }
}
