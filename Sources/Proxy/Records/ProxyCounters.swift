import Synchronization

/// A number that one thread adds to and any thread reads.
public final class Counter: Sendable {
  private let value = Atomic<UInt64>(0)

  init() {}

  @inline(__always)
  func add(_ amount: UInt64 = 1) {
    value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  public var current: UInt64 { value.load(ordering: .relaxed) }
}

/// What one worker has done since its start; only that worker adds.
final class ProxyCounters: Sendable {
  let accepted = Counter()
  let closed = Counter()
  let upstreamConnections = Counter()
  let upstreamReuses = Counter()
  let upstreamFailures = Counter()
  let requests = Counter()
  let denied = Counter()
  let malformed = Counter()
  let answered = Counter()
  let responses1xx = Counter()
  let responses2xx = Counter()
  let responses3xx = Counter()
  let responses4xx = Counter()
  let responses5xx = Counter()
  let aborted = Counter()
  let requestOctets = Counter()
  let responseOctets = Counter()
  let lostRecords = Counter()
  let retries = Counter()
  let timeouts = Counter()
}

/// Totals over all workers since the start.
public struct ProxyStatistics: Hashable, Sendable {
  public var acceptedConnections: UInt64 = 0
  public var openConnections: UInt64 = 0
  public var upstreamConnections: UInt64 = 0
  /// Connections to servers that went over from one client's connection to another's.
  public var upstreamReuses: UInt64 = 0
  /// Attempts that were refused, unreachable or out of time.
  public var upstreamFailures: UInt64 = 0
  public var requests: UInt64 = 0
  public var deniedRequests: UInt64 = 0
  /// Requests refused for their form.
  public var malformedRequests: UInt64 = 0
  /// Routed requests that the proxy answered itself, and sent to no server.
  public var answeredRequests: UInt64 = 0
  /// Final responses by class, the proxy's own included: index 1 is 1xx, 5 is 5xx; index 0 is unused.
  public var responses: [UInt64] = [0, 0, 0, 0, 0, 0]
  /// Exchanges that a side left before their end.
  public var abortedExchanges: UInt64 = 0
  public var requestOctets: UInt64 = 0
  public var responseOctets: UInt64 = 0
  /// Access records that the sink did not take.
  public var lostAccessRecords: UInt64 = 0
  /// Attempts beyond the first, as routes want them.
  public var retries: UInt64 = 0
  /// Routed requests, or attempts of them, whose time was over.
  public var timeouts: UInt64 = 0

  mutating func add(_ counters: ProxyCounters) {
    acceptedConnections &+= counters.accepted.current
    openConnections &+= counters.accepted.current &- counters.closed.current
    upstreamConnections &+= counters.upstreamConnections.current
    upstreamReuses &+= counters.upstreamReuses.current
    upstreamFailures &+= counters.upstreamFailures.current
    requests &+= counters.requests.current
    deniedRequests &+= counters.denied.current
    malformedRequests &+= counters.malformed.current
    answeredRequests &+= counters.answered.current
    let classes = [
      counters.responses1xx, counters.responses2xx, counters.responses3xx, counters.responses4xx,
      counters.responses5xx,
    ]
    for (index, counter) in classes.enumerated() { responses[index + 1] &+= counter.current }
    abortedExchanges &+= counters.aborted.current
    requestOctets &+= counters.requestOctets.current
    responseOctets &+= counters.responseOctets.current
    lostAccessRecords &+= counters.lostRecords.current
    retries &+= counters.retries.current
    timeouts &+= counters.timeouts.current
  }
}
