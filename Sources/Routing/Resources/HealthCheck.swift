import JSON

/// `envoy.config.core.v3.HealthCheck`: how a cluster's endpoints are asked whether they serve, and how often.
public struct HealthCheck: Hashable, Sendable {
  public enum Probe: Hashable, Sendable {
    case http(HTTPHealthCheck)
    case tcp(TCPHealthCheck)
  }

  public let probe: Probe
  public let timeout: Duration
  /// Between the checks of an endpoint that stays healthy.
  public let interval: Duration
  /// Before one that a healthy endpoint's next result may turn on: a first success of several that it takes.
  public let healthyEdgeInterval: Duration
  public let unhealthyInterval: Duration
  public let unhealthyEdgeInterval: Duration
  /// As long as the cluster had no request.
  public let noTrafficInterval: Duration
  public let noTrafficHealthyInterval: Duration
  /// Before the first check, at most.
  public let initialJitter: Duration
  /// Added to each interval, at most.
  public let intervalJitter: Duration
  /// Of the interval, added to it, at most.
  public let intervalJitterPercent: UInt32
  public let healthyThreshold: UInt32
  public let unhealthyThreshold: UInt32
  /// Logs also what changes nothing.
  public let logsAllFailures: Bool
  public let logsAllSuccesses: Bool

  static let fields = MessageFields(
    "envoy.config.core.v3.HealthCheck",
    read: [
      "timeout", "interval", "initial_jitter", "interval_jitter", "interval_jitter_percent", "unhealthy_threshold",
      "healthy_threshold", "http_health_check", "tcp_health_check", "no_traffic_interval",
      "no_traffic_healthy_interval", "unhealthy_interval", "unhealthy_edge_interval", "healthy_edge_interval",
      "always_log_health_check_failures", "always_log_health_check_success",
    ],
    refused: [
      // Each check has a connection of its own.
      "reuse_connection",
      "alt_port", "grpc_health_check", "custom_health_check", "event_log_path", "event_logger", "event_service",
      "tls_options", "transport_socket_match_criteria",
    ])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    timeout = try message.requiredDuration("timeout")
    interval = try message.requiredDuration("interval")
    initialJitter = try message.member("initial_jitter")?.protobufTimeout() ?? .zero
    intervalJitter = try message.member("interval_jitter")?.protobufTimeout() ?? .zero
    intervalJitterPercent = try message.uint32("interval_jitter_percent") ?? 0
    healthyThreshold = try message.required("healthy_threshold").protobufInteger()
    unhealthyThreshold = try message.required("unhealthy_threshold").protobufInteger()
    noTrafficInterval = try message.positiveDuration("no_traffic_interval") ?? .seconds(60)
    noTrafficHealthyInterval = try message.positiveDuration("no_traffic_healthy_interval") ?? noTrafficInterval
    unhealthyInterval = try message.positiveDuration("unhealthy_interval") ?? interval
    unhealthyEdgeInterval = try message.positiveDuration("unhealthy_edge_interval") ?? unhealthyInterval
    healthyEdgeInterval = try message.positiveDuration("healthy_edge_interval") ?? interval
    logsAllFailures = try message.bool("always_log_health_check_failures")
    logsAllSuccesses = try message.bool("always_log_health_check_success")
    switch try message.choice("http_health_check", "tcp_health_check") {
    case ("http_health_check", let member)?: probe = .http(try HTTPHealthCheck(member))
    case (_, let member)?: probe = .tcp(try TCPHealthCheck(member))
    case nil: throw cursor.error("needs http_health_check or tcp_health_check")
    }
  }
}

extension Message {
  fileprivate func requiredDuration(_ name: String) throws(FieldError) -> Duration {
    guard let duration = try positiveDuration(name) else { throw try required(name).error("required") }
    return duration
  }
}
