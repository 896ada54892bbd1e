import JSON

/// `envoy.config.cluster.v3.OutlierDetection`: when an endpoint is taken out for what became of its requests.
public struct OutlierDetection: Hashable, Sendable {
  /// What an endpoint can be taken out for.
  public enum Reason: String, Hashable, Sendable, CaseIterable {
    case consecutive5xx = "consecutive_5xx"
    /// 502, 503 and 504.
    case consecutiveGatewayFailure = "consecutive_gateway_failure"
    /// No connection, or no answer in time.
    case consecutiveLocalOriginFailure = "consecutive_local_origin_failure"
    case successRate = "success_rate"
    case localOriginSuccessRate = "local_origin_success_rate"
    case failurePercentage = "failure_percentage"
    case localOriginFailurePercentage = "local_origin_failure_percentage"
  }

  /// A rate is looked at where enough endpoints had enough requests in an interval.
  public struct Volume: Hashable, Sendable {
    public let minimumHosts: Int
    public let requests: UInt64
  }

  /// As many in a row, for each reason that counts them.
  public let consecutive: [Reason: UInt32]
  /// Of a hundred times, how often an endpoint is taken out when there is a reason.
  public let enforcing: [Reason: UInt32]
  /// Failures to get an answer at all are counted by themselves, not as answers of 5xx.
  public let splitsLocalOrigin: Bool
  public let interval: Duration
  public let baseEjectionTime: Duration
  public let maximumEjectionTime: Duration
  public let maximumEjectionJitter: Duration
  /// From 0 to 100.
  public let maximumEjectionPercent: UInt32
  public let alwaysEjectsOne: Bool
  public let successRate: Volume
  /// How many standard deviations below the mean, in thousandths.
  public let deviations: UInt32
  public let failurePercentage: Volume
  /// From 0 to 100.
  public let failureThreshold: UInt32
  /// Whether a passed health check brings an endpoint back.
  public let returnsWithPassedCheck: Bool

  static let fields = MessageFields(
    "envoy.config.cluster.v3.OutlierDetection",
    read: [
      "consecutive_5xx", "interval", "base_ejection_time", "max_ejection_percent", "enforcing_consecutive_5xx",
      "enforcing_success_rate", "success_rate_minimum_hosts", "success_rate_request_volume",
      "success_rate_stdev_factor", "consecutive_gateway_failure", "enforcing_consecutive_gateway_failure",
      "split_external_local_origin_errors", "consecutive_local_origin_failure",
      "enforcing_consecutive_local_origin_failure", "enforcing_local_origin_success_rate",
      "failure_percentage_threshold", "enforcing_failure_percentage", "enforcing_failure_percentage_local_origin",
      "failure_percentage_minimum_hosts", "failure_percentage_request_volume", "max_ejection_time",
      "max_ejection_time_jitter", "successful_active_health_check_uneject_host", "always_eject_one_host",
    ], refused: ["monitors", "detect_degraded_hosts"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    consecutive = [
      .consecutive5xx: try message.uint32("consecutive_5xx") ?? 5,
      .consecutiveGatewayFailure: try message.uint32("consecutive_gateway_failure") ?? 5,
      .consecutiveLocalOriginFailure: try message.uint32("consecutive_local_origin_failure") ?? 5,
    ]
    enforcing = [
      .consecutive5xx: try message.percent("enforcing_consecutive_5xx") ?? 100,
      .consecutiveGatewayFailure: try message.percent("enforcing_consecutive_gateway_failure") ?? 0,
      .consecutiveLocalOriginFailure: try message.percent("enforcing_consecutive_local_origin_failure") ?? 100,
      .successRate: try message.percent("enforcing_success_rate") ?? 100,
      .localOriginSuccessRate: try message.percent("enforcing_local_origin_success_rate") ?? 100,
      .failurePercentage: try message.percent("enforcing_failure_percentage") ?? 0,
      .localOriginFailurePercentage: try message.percent("enforcing_failure_percentage_local_origin") ?? 0,
    ]
    splitsLocalOrigin = try message.bool("split_external_local_origin_errors")
    interval = try message.positiveDuration("interval") ?? .seconds(10)
    baseEjectionTime = try message.positiveDuration("base_ejection_time") ?? .seconds(30)
    maximumEjectionTime = try message.positiveDuration("max_ejection_time") ?? max(.seconds(300), baseEjectionTime)
    guard maximumEjectionTime >= baseEjectionTime else {
      throw try message.required("max_ejection_time").error("is less than base_ejection_time")
    }
    maximumEjectionJitter = try message.member("max_ejection_time_jitter")?.protobufTimeout() ?? .zero
    maximumEjectionPercent = try message.percent("max_ejection_percent") ?? 10
    alwaysEjectsOne = try message.bool("always_eject_one_host")
    successRate = Volume(
      minimumHosts: Int(try message.uint32("success_rate_minimum_hosts") ?? 5),
      requests: UInt64(try message.uint32("success_rate_request_volume") ?? 100))
    deviations = try message.uint32("success_rate_stdev_factor") ?? 1900
    failurePercentage = Volume(
      minimumHosts: Int(try message.uint32("failure_percentage_minimum_hosts") ?? 5),
      requests: UInt64(try message.uint32("failure_percentage_request_volume") ?? 50))
    failureThreshold = try message.percent("failure_percentage_threshold") ?? 85
    returnsWithPassedCheck = try message.optionalBool("successful_active_health_check_uneject_host") ?? true
  }
}

extension Message {
  /// A whole number from 0 to 100.
  func percent(_ name: String) throws(FieldError) -> UInt32? { try member(name)?.protobufInteger(in: 0...100) }

  /// A duration of more than 0s.
  func positiveDuration(_ name: String) throws(FieldError) -> Duration? {
    guard let member = member(name) else { return nil }
    let duration = try member.protobufDuration()
    guard duration > .zero else { throw member.error("must be more than 0s") }
    return duration
  }
}
