import JSON

/// `envoy.config.route.v3.RetryPolicy`: when a request is sent once more, and how often.
public struct RetryPolicy: Hashable, Sendable {
  public enum Condition: String, Hashable, Sendable, CaseIterable {
    case serverError = "5xx"
    case gatewayError = "gateway-error"
    case reset
    case resetBeforeRequest = "reset-before-request"
    case connectFailure = "connect-failure"
    case retriable4xx = "retriable-4xx"
    case refusedStream = "refused-stream"
    case retriableStatusCodes = "retriable-status-codes"
    case retriableHeaders = "retriable-headers"
    // By gRPC's status.
    case cancelled
    case deadlineExceeded = "deadline-exceeded"
    case `internal`
    case resourceExhausted = "resource-exhausted"
    case unavailable
  }

  public let conditions: Set<Condition>
  /// How often beyond the first time.
  public let retries: UInt32
  /// nil for the route's timeout.
  public let perTryTimeout: Duration?
  public let perTryIdleTimeout: Duration?
  public let statusCodes: [UInt16]
  /// Of the response.
  public let headers: [HeaderMatcher]
  /// Of the request: without one that matches there is no second time; empty for all requests.
  public let requestHeaders: [HeaderMatcher]
  public let baseInterval: Duration
  public let maximumInterval: Duration

  static let fields = MessageFields(
    "envoy.config.route.v3.RetryPolicy",
    read: [
      "retry_on", "num_retries", "per_try_timeout", "per_try_idle_timeout", "retriable_status_codes",
      "retry_back_off", "retriable_headers", "retriable_request_headers",
    ],
    refused: [
      "retry_priority", "retry_host_predicate", "retry_options_predicates", "host_selection_retry_max_attempts",
      "rate_limited_retry_back_off", "refresh_cluster_on_retry",
    ])
  static let backOffFields = MessageFields(
    "envoy.config.route.v3.RetryPolicy.RetryBackOff", read: ["base_interval", "max_interval"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    var conditions: Set<Condition> = []
    for word in try message.string("retry_on").split(separator: ",") {
      let name = word.drop { $0 == " " }.prefix { $0 != " " }
      guard let condition = Condition(rawValue: String(name)) else {
        throw try message.required("retry_on").error("\"\(name)\" is no condition that is supported")
      }
      conditions.insert(condition)
    }
    self.conditions = conditions
    retries = try message.uint32("num_retries") ?? 1
    perTryTimeout = try message.member("per_try_timeout")?.protobufTimeout()
    perTryIdleTimeout = try message.member("per_try_idle_timeout")?.protobufTimeout()
    statusCodes = try message.list("retriable_status_codes") { (code) throws(FieldError) in
      try code.protobufInteger(in: 100...599)
    }
    headers = try message.list("retriable_headers", HeaderMatcher.init)
    requestHeaders = try message.list("retriable_request_headers", HeaderMatcher.init)
    guard let cursor = message.member("retry_back_off") else {
      baseInterval = .milliseconds(25)
      maximumInterval = .milliseconds(250)
      return
    }
    let backOff = try Message(cursor, Self.backOffFields)
    let base = try backOff.required("base_interval").protobufTimeout()
    guard base > .zero else { throw try backOff.required("base_interval").error("must be more than 0s") }
    // Less than a millisecond is one.
    baseInterval = max(base, .milliseconds(1))
    maximumInterval = try backOff.duration("max_interval") ?? baseInterval * 10
    guard maximumInterval >= baseInterval else { throw cursor.error("max_interval is less than base_interval") }
  }
}
