import JSON
import ProxyRules

/// A ``RetryPolicy``, ready to be asked: what Envoy sends once more.
public final class RetryRules: Sendable {
  public let policy: RetryPolicy
  private let headers: [HeaderTest]
  private let requestHeaders: [HeaderTest]

  /// Why an attempt got no response.
  public enum Failure: Hashable, Sendable {
    /// The server did not take the connection.
    case connect
    /// The server closed or reset it, or broke the protocol.
    case reset
    /// As `reset`, with nothing of the request sent.
    case resetBeforeRequest
    /// The server said that it has done nothing with the request.
    case refused
    /// The time of one attempt was over.
    case timeout
  }

  init(_ policy: RetryPolicy) throws(FieldError) {
    self.policy = policy
    var headers: [HeaderTest] = []
    for matcher in policy.headers { headers.append(try HeaderTest(matcher)) }
    var requestHeaders: [HeaderTest] = []
    for matcher in policy.requestHeaders { requestHeaders.append(try HeaderTest(matcher)) }
    self.headers = headers
    self.requestHeaders = requestHeaders
  }

  /// Whether a request may be sent again at all.
  public func allows(_ request: RequestView) -> Bool {
    guard policy.retries > 0, !policy.conditions.isEmpty else { return false }
    return requestHeaders.isEmpty || requestHeaders.contains { $0.holds(for: request) }
  }

  /// Whether an attempt that got no response is followed by another.
  public func retries(_ failure: Failure) -> Bool {
    let conditions = policy.conditions
    if conditions.contains(.reset) || conditions.contains(.serverError) || conditions.contains(.gatewayError) {
      return true
    }
    return switch failure {
    case .connect: conditions.contains(.connectFailure) || conditions.contains(.resetBeforeRequest)
    case .resetBeforeRequest: conditions.contains(.resetBeforeRequest)
    case .refused: conditions.contains(.refusedStream)
    case .reset, .timeout: false
    }
  }

  /// Whether a response is dropped for another attempt.
  public func retries(status: UInt16, headers: UnsafeBufferPointer<HTTPHeaderFacts>) -> Bool {
    let response = RequestView(
      HTTPRequestFacts(method: .empty, path: .empty, host: nil, headers: headers), connection: RetryRules.noConnection)
    // A server that limits its clients is not asked again.
    if response.withHeader(RetryRules.rateLimited, { $0 != nil }) { return false }
    for condition in policy.conditions where holds(condition, status, response) { return true }
    return false
  }

  private func holds(_ condition: RetryPolicy.Condition, _ status: UInt16, _ response: RequestView) -> Bool {
    switch condition {
    case .serverError: status >= 500 && status < 600
    case .gatewayError: status >= 502 && status <= 504
    case .retriable4xx: status == 409
    case .retriableStatusCodes: policy.statusCodes.contains(status)
    case .retriableHeaders: headers.contains { $0.holds(for: response) }
    case .cancelled: isGRPC(1, response)
    case .deadlineExceeded: isGRPC(4, response)
    case .resourceExhausted: isGRPC(8, response)
    case .internal: isGRPC(13, response)
    case .unavailable: isGRPC(14, response)
    case .reset, .resetBeforeRequest, .connectFailure, .refusedStream: false
    }
  }

  private func isGRPC(_ status: Int64, _ response: RequestView) -> Bool {
    response.withHeader(RetryRules.grpcStatus) { $0.flatMap(Int64.init(decimal:)) == status }
  }

  private static let rateLimited = Array("x-envoy-ratelimited".utf8)
  private static let grpcStatus = Array("grpc-status".utf8)
  private static let noConnection = ConnectionFacts()

  /// How long to wait before an attempt: any time below an interval that doubles with each attempt, up to the largest
  /// one, so that clients that failed together do not come back together.
  ///
  /// - Parameter attempt: 1 for the first after the original one.
  public func delay(before attempt: Int, random: UInt64) -> Duration {
    let doublings = min(max(attempt - 1, 0), 30)
    let interval = min(policy.baseInterval * (1 << doublings), policy.maximumInterval)
    let milliseconds = interval.components.seconds * 1000 + interval.components.attoseconds / 1_000_000_000_000_000
    return .milliseconds(Int64(random % UInt64(max(1, milliseconds))))
  }
}
