/// What a run, or one thread's share of it, has counted.
public struct LoadResult: Sendable {
  /// Of requests that were answered, whatever the status, from the time they were meant to leave.
  public var latencies = LatencyHistogram()
  /// How late requests left for which a connection was free: the generator's own error.
  public var lateness = LatencyHistogram()
  /// Answers by HTTP status or DNS RCODE; 200 for a round trip of bytes.
  public var statuses: [Int: UInt64] = [:]
  /// Requests without an answer, by reason.
  public var failures: [String: UInt64] = [:]
  /// Requests that the rate asked for and no connection was free to send before the end.
  public var unsent: UInt64 = 0
  /// Connections that were opened while measuring.
  public var opened: UInt64 = 0
  public var use = ResourceUse.Difference()

  public init() {}

  public var answered: UInt64 { latencies.count }
  public var failed: UInt64 { failures.values.reduce(0, +) }

  mutating func merge(_ other: LoadResult) {
    latencies.merge(other.latencies)
    lateness.merge(other.lateness)
    statuses.merge(other.statuses, uniquingKeysWith: +)
    failures.merge(other.failures, uniquingKeysWith: +)
    unsent += other.unsent
    opened += other.opened
    use.merge(other.use)
  }
}
