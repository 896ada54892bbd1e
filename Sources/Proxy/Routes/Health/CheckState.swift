import Routing

/// What the results of checks say of an endpoint: pure.
struct CheckState: Hashable, Sendable {
  enum Transition: Hashable, Sendable {
    case unchanged
    /// Further results like this one change it.
    case pending
    case changed
  }

  private let healthyThreshold: UInt32
  private let unhealthyThreshold: UInt32
  /// Nothing is known at first, and an endpoint that nothing is known of does not serve.
  private(set) var isHealthy = false
  private(set) var isFirst = true
  /// In a row.
  private var passed: UInt32 = 0
  private var failed: UInt32 = 0

  init(_ check: HealthCheck) {
    healthyThreshold = check.healthyThreshold
    unhealthyThreshold = check.unhealthyThreshold
  }

  mutating func pass() -> Transition {
    defer { isFirst = false }
    failed = 0
    guard !isHealthy else { return .unchanged }
    passed &+= 1
    // The first one of all is enough, for a quick start.
    guard isFirst || passed == healthyThreshold else { return .pending }
    isHealthy = true
    return .changed
  }

  /// - Parameter isFinal: It is unhealthy at once, however often it may fail.
  mutating func fail(isFinal: Bool) -> Transition {
    // Who has said how it is has changed from not being known.
    defer { isFirst = false }
    passed = 0
    guard isHealthy else { return isFirst ? .changed : .unchanged }
    failed &+= 1
    guard isFinal || failed == unhealthyThreshold else { return .pending }
    isHealthy = false
    failed = 0
    return .changed
  }
}

extension HealthCheck {
  /// How long to wait for the next check; at least a millisecond.
  ///
  /// - Parameters:
  ///   - hasTraffic: The cluster had a request.
  ///   - random: For jitter.
  func delay(
    afterPassing isPassed: Bool, _ transition: CheckState.Transition, hasTraffic: Bool, random: () -> UInt64
  ) -> Duration {
    let isPending = transition == .pending
    let base: Duration =
      switch (hasTraffic, isPassed) {
      case (true, true): isPending ? healthyEdgeInterval : interval
      case (true, false): isPending ? unhealthyEdgeInterval : unhealthyInterval
      case (false, true): isPending ? noTrafficInterval : noTrafficHealthyInterval
      case (false, false): noTrafficInterval
      }
    return jittered(base, by: intervalJitter, random)
  }

  /// How long to wait for the first check.
  func firstDelay(random: () -> UInt64) -> Duration {
    initialJitter == .zero ? .zero : jittered(.zero, by: initialJitter, random)
  }

  private func jittered(_ base: Duration, by jitter: Duration, _ random: () -> UInt64) -> Duration {
    var milliseconds = base.milliseconds
    let (part, overflow) = milliseconds.multipliedReportingOverflow(by: UInt64(intervalJitterPercent))
    if !overflow, part >= 100 { milliseconds = milliseconds.later(by: random() % (part / 100)) }
    if jitter.milliseconds > 0 { milliseconds = milliseconds.later(by: random() % jitter.milliseconds) }
    return .milliseconds(Int64(clamping: max(1, milliseconds)))
  }
}
