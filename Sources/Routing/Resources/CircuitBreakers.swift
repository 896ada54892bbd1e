import JSON

/// `envoy.config.cluster.v3.CircuitBreakers`: how much there may be of a cluster's requests at once, for each priority of routes.
public struct CircuitBreakers: Hashable, Sendable {
  /// `envoy.config.cluster.v3.CircuitBreakers.Thresholds`
  public struct Thresholds: Hashable, Sendable {
    /// Connections that requests are on their way by; HTTP/1.1 has one for each.
    public var connections: UInt32
    /// Requests that wait for one of them.
    public var pending: UInt32
    public var requests: UInt32
    /// Requests that are sent once more.
    public var retries: UInt32

    /// Envoy's, where nothing is said.
    static let standard = Thresholds(connections: 1024, pending: 1024, requests: 1024, retries: 3)
    /// Of a cluster that nothing but a Service declares.
    public static let unlimited = Thresholds(connections: .max, pending: .max, requests: .max, retries: .max)
  }

  public let normal: Thresholds
  public let high: Thresholds

  static let fields = MessageFields(
    "envoy.config.cluster.v3.CircuitBreakers", read: ["thresholds"], refused: ["per_host_thresholds"])
  static let thresholdFields = MessageFields(
    "envoy.config.cluster.v3.CircuitBreakers.Thresholds",
    read: ["priority", "max_connections", "max_pending_requests", "max_requests", "max_retries"],
    // Statistics.
    withoutEffect: ["track_remaining"], refused: ["retry_budget", "max_connection_pools"])

  static let standard = CircuitBreakers(normal: .standard, high: .standard)
  public static let unlimited = CircuitBreakers(normal: .unlimited, high: .unlimited)

  private init(normal: Thresholds, high: Thresholds) {
    self.normal = normal
    self.high = high
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    var normal: Thresholds?
    var high: Thresholds?
    for element in try message.member("thresholds")?.elements() ?? [] {
      let message = try Message(element, Self.thresholdFields)
      let thresholds = try Thresholds(message)
      let isHigh = try message.member("priority")?.protobufEnum(["DEFAULT", "HIGH"]) == "HIGH"
      guard (isHigh ? high : normal) == nil else { throw element.error("a second one for its priority") }
      if isHigh { high = thresholds } else { normal = thresholds }
    }
    self.normal = normal ?? .standard
    self.high = high ?? .standard
  }

  public func thresholds(isHighPriority: Bool) -> Thresholds { isHighPriority ? high : normal }
}

extension CircuitBreakers.Thresholds {
  fileprivate init(_ message: Message) throws(FieldError) {
    connections = try message.uint32("max_connections") ?? Self.standard.connections
    pending = try message.uint32("max_pending_requests") ?? Self.standard.pending
    requests = try message.uint32("max_requests") ?? Self.standard.requests
    retries = try message.uint32("max_retries") ?? Self.standard.retries
  }
}
