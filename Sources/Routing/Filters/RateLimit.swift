import JSON
import Synchronization

/// `envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`: how many requests there may be in a time.
public struct RateLimit: Hashable, Sendable {
  /// `envoy.type.v3.TokenBucket`: each request takes a token.
  public struct Bucket: Hashable, Sendable {
    public let capacity: UInt32
    /// Tokens that come in each `interval`, evenly.
    public let fill: UInt32
    public let interval: Duration
  }

  /// nil: without limit.
  public let bucket: Bucket?
  /// 400 or more.
  public let status: UInt16
  /// Those that take tokens.
  public let enabled: Fraction
  /// Of those that found none, those that are refused.
  public let enforced: Fraction
  /// Of requests that found no token, and go on all the same.
  public let requestHeaders: HeaderMutations
  /// Of the answer to those that are refused.
  public let responseHeaders: HeaderMutations

  static let fields = MessageFields(
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    read: [
      "status", "token_bucket", "filter_enabled", "filter_enforced", "request_headers_to_add_when_not_enforced",
      "response_headers_to_add",
    ],
    // Statistics; and what is only about descriptors, of which there are none.
    withoutEffect: [
      "stat_prefix", "stage", "vh_rate_limits", "always_consume_default_token_bucket", "max_dynamic_descriptors",
    ],
    refused: [
      "descriptors", "local_rate_limit_per_downstream_connection", "local_cluster_rate_limit",
      "enable_x_ratelimit_headers", "rate_limited_as_resource_exhausted", "rate_limits", "enable_retry_after_header",
    ])
  static let statusFields = MessageFields("envoy.type.v3.HttpStatus", read: ["code"])
  static let bucketFields = MessageFields(
    "envoy.type.v3.TokenBucket", read: ["max_tokens", "tokens_per_fill", "fill_interval"])

  init(_ cursor: JSONCursor, ofRoute: Bool) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    bucket = try message.map("token_bucket", Bucket.init)
    if ofRoute { _ = try message.required("token_bucket") }
    status = try message.map("status", RateLimit.status) ?? 429
    enabled =
      try message.map("filter_enabled") { (cursor) throws(FieldError) in try Fraction(runtime: cursor) } ?? .empty
    enforced =
      try message.map("filter_enforced") { (cursor) throws(FieldError) in try Fraction(runtime: cursor) } ?? .empty
    requestHeaders = HeaderMutations(
      removed: [], added: try message.list("request_headers_to_add_when_not_enforced", HeaderAddition.init))
    responseHeaders = HeaderMutations(
      removed: [], added: try message.list("response_headers_to_add", HeaderAddition.init))
  }

  private static func status(_ cursor: JSONCursor) throws(FieldError) -> UInt16 {
    let code = try Message(cursor, statusFields).required("code")
    if let name = code.value.stringValue, let status = names[name] { return status }
    return try code.protobufInteger(in: 400...599)
  }

  /// `envoy.type.v3.StatusCode`, of errors.
  private static let names: [String: UInt16] = [
    "BadRequest": 400, "Unauthorized": 401, "PaymentRequired": 402, "Forbidden": 403, "NotFound": 404,
    "MethodNotAllowed": 405, "NotAcceptable": 406, "ProxyAuthenticationRequired": 407, "RequestTimeout": 408,
    "Conflict": 409, "Gone": 410, "LengthRequired": 411, "PreconditionFailed": 412, "PayloadTooLarge": 413,
    "URITooLong": 414, "UnsupportedMediaType": 415, "RangeNotSatisfiable": 416, "ExpectationFailed": 417,
    "MisdirectedRequest": 421, "UnprocessableEntity": 422, "Locked": 423, "FailedDependency": 424,
    "UpgradeRequired": 426, "PreconditionRequired": 428, "TooManyRequests": 429, "RequestHeaderFieldsTooLarge": 431,
    "InternalServerError": 500, "NotImplemented": 501, "BadGateway": 502, "ServiceUnavailable": 503,
    "GatewayTimeout": 504, "HTTPVersionNotSupported": 505, "VariantAlsoNegotiates": 506, "InsufficientStorage": 507,
    "LoopDetected": 508, "NotExtended": 510, "NetworkAuthenticationRequired": 511,
  ]
}

extension RateLimit.Bucket {
  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, RateLimit.bucketFields)
    capacity = try message.required("max_tokens").protobufInteger(in: 1...UInt32.max)
    fill = try message.member("tokens_per_fill")?.protobufInteger(in: 1...UInt32.max) ?? 1
    interval = try message.required("fill_interval").protobufTimeout()
    guard interval >= .milliseconds(50) else {
      throw try message.required("fill_interval").error("must be at least 0.05s")
    }
  }
}

/// ``RateLimit``, with its tokens: all threads take them from the same bucket.
final class CompiledRateLimit: Sendable {
  let limit: RateLimit
  private let bucket: TokenBucket?

  init(_ limit: RateLimit) {
    self.limit = limit
    bucket = limit.bucket.map { TokenBucket($0) }
  }

  /// - Parameter now: In nanoseconds since any time.
  /// - Parameter takes: Else it is only said whether there is a token.
  func hasToken(now: UInt64, takes: Bool = true) -> Bool { bucket?.hasToken(now: now, takes: takes) ?? true }
}

/// Tokens that come evenly, up to a number of them. All of it is one point in time: that at which the bucket was, or would
/// have been, empty.
final class TokenBucket: Sendable {
  private let emptyAt = Atomic<Int64>(.min / 2)
  /// Nanoseconds for one token, and for as many as there may be.
  private let cost: Int64
  private let capacity: Int64

  init(_ bucket: RateLimit.Bucket) {
    cost = max(1, Int64(clamping: bucket.interval.inNanoseconds) / Int64(bucket.fill))
    capacity = min(
      Int64.max / 4,
      cost.multipliedReportingOverflow(by: Int64(bucket.capacity)).overflow
        ? Int64.max / 4 : cost * Int64(bucket.capacity))
  }

  func hasToken(now: UInt64, takes: Bool) -> Bool {
    let now = Int64(clamping: now)
    var known = emptyAt.load(ordering: .relaxed)
    while true {
      let next = max(known, now - capacity) + cost
      guard next <= now else { return false }
      guard takes else { return true }
      let (exchanged, original) = emptyAt.weakCompareExchange(expected: known, desired: next, ordering: .relaxed)
      if exchanged { return true }
      known = original
    }
  }
}

extension Duration {
  fileprivate var inNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? .max : UInt64(clamping: whole + attoseconds / 1_000_000_000)
  }
}
