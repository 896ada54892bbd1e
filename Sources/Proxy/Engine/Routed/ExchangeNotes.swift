import Routing

/// What is kept of a routed exchange for its access logs and its span, in memory that goes round with the connection.
struct ExchangeNotes {
  var heads = CapturedHeads()
  var cause = ResponseCause.none
  /// Those that do not follow from the cause.
  var flags: ResponseFlags = []
  /// nil for a request that is not sampled.
  var trace: ActiveTrace?
  /// CLOCK_MONOTONIC; 0 for what has not come about.
  var requestEnd: UInt64 = 0
  var responseStart: UInt64 = 0
  /// Octets of the body of the proxy's own answer.
  var ownBody = 0
  /// Octets of the heads that were passed on, which a tunnel's octets are counted with.
  var requestHead = 0
  var responseHead = 0

  mutating func clear() {
    heads.clear()
    cause = .none
    flags = []
    trace = nil
    requestEnd = 0
    responseStart = 0
    ownBody = 0
    requestHead = 0
    responseHead = 0
  }
}

extension RoutedConnection {
  /// The last attempt has failed.
  func note(_ failure: RetryRules.Failure, hasProtocolError: Bool) {
    notes.cause = hasProtocolError ? .upstreamProtocolError : failure.cause
    if retries > 0, !hasRetries { notes.flags.insert(ResponseFlags(.upstreamRetryLimitExceeded)) }
  }
}
