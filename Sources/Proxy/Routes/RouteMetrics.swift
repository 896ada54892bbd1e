import Routing
import Synchronization

/// What became of the requests of one route to one cluster. Any worker adds, at any time.
public final class RouteMetrics: Sendable {
  /// The labels of its metrics.
  struct Key: Hashable, Sendable {
    /// `CiliumEnvoyConfig default/reviews`
    let object: String
    let virtualHost: String
    /// The route's name, or its place in the virtual host.
    let route: String
    /// Empty where the proxy answered itself.
    let cluster: String
  }

  /// The upper bounds of the histogram's buckets; what takes longer is in none of them.
  static let bounds: [Duration] = [
    .microseconds(500), .milliseconds(1), .microseconds(2500), .milliseconds(5), .milliseconds(10), .milliseconds(25),
    .milliseconds(50), .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1), .milliseconds(2500),
    .seconds(5), .seconds(10),
  ]
  private static let boundsInNanoseconds = bounds.map(\.nanoseconds)

  let key: Key
  private let classes: SharedCounters
  private let buckets: SharedCounters
  private let duration = Atomic<UInt64>(0)
  private let repeated = Atomic<UInt64>(0)

  init(_ key: Key) {
    self.key = key
    classes = SharedCounters(count: 6)
    buckets = SharedCounters(count: RouteMetrics.bounds.count + 1)
  }

  /// A request has ended, whoever answered it.
  ///
  /// - Parameters:
  ///   - status: What the client got; 0 where it went without an answer.
  ///   - nanoseconds: From the request's head to the last octet of the answer, all attempts together.
  func ended(status: UInt16, nanoseconds: UInt64) {
    classes.add(status < 100 || status > 599 ? 0 : Int(status / 100))
    var bucket = 0
    while bucket < RouteMetrics.boundsInNanoseconds.count, nanoseconds > RouteMetrics.boundsInNanoseconds[bucket] {
      bucket &+= 1
    }
    buckets.add(bucket)
    duration.wrappingAdd(nanoseconds, ordering: .relaxed)
  }

  /// A request was sent once more.
  func retried() { repeated.wrappingAdd(1, ordering: .relaxed) }

  /// Requests by the class of their answer: index 2 is 2xx; index 0, those that went without one.
  var requests: [UInt64] { (0..<6).map { classes[$0] } }
  var retries: UInt64 { repeated.load(ordering: .relaxed) }
  /// Not cumulative; one more than there are bounds.
  var durations: [UInt64] { (0...RouteMetrics.bounds.count).map { buckets[$0] } }
  var totalNanoseconds: UInt64 { duration.load(ordering: .relaxed) }
}

/// The attempts to reach a cluster's endpoints. Any worker adds, at any time.
public final class ClusterMetrics: Sendable {
  struct Key: Hashable, Sendable {
    let object: String
    let cluster: String
  }

  let key: Key
  private let counters = SharedCounters(count: 7)
  private let ejections = SharedCounters(count: OutlierDetection.Reason.allCases.count)
  /// How many requests there are, of all listeners that name the cluster, whatever its endpoints are.
  let gates = ClusterGates()
  let directory: EndpointDirectory
  private let traffic = Atomic<Bool>(false)

  /// - Parameter suspects: Who is told of endpoints that fail too often.
  init(_ key: Key, suspects: HealthSuspects? = nil) {
    self.key = key
    directory = EndpointDirectory(suspects: suspects)
  }

  /// An endpoint could not be connected to.
  func connectFailed() { counters.add(0) }
  /// An attempt, or the request as a whole, ran out of time.
  func timedOut() { counters.add(1) }
  /// A request came while there was no endpoint.
  func hadNoEndpoint() { counters.add(2) }

  /// A request was refused, as there were as many as the cluster's limits allow.
  func overflowed() { counters.add(3) }
  /// A request was not sent once more, as too many were.
  func retryOverflowed() { counters.add(4) }

  /// An endpoint was asked whether it serves.
  func checked(passed: Bool) { counters.add(passed ? 5 : 6) }

  /// Whether the cluster had a request; it stays so.
  var hasTraffic: Bool {
    if traffic.load(ordering: .relaxed) { return true }
    guard directory.hasTraffic else { return false }
    traffic.store(true, ordering: .relaxed)
    return true
  }

  /// An endpoint was taken out.
  func ejected(_ reason: OutlierDetection.Reason) {
    ejections.add(OutlierDetection.Reason.allCases.firstIndex(of: reason) ?? 0)
  }

  var connectFailures: UInt64 { counters[0] }
  var timeouts: UInt64 { counters[1] }
  var withoutEndpoint: UInt64 { counters[2] }
  var overflows: UInt64 { counters[3] }
  var retryOverflows: UInt64 { counters[4] }
  var passedChecks: UInt64 { counters[5] }
  var failedChecks: UInt64 { counters[6] }
  /// How often endpoints were taken out, by the reason.
  var ejectionCounts: [(reason: OutlierDetection.Reason, count: UInt64)] {
    OutlierDetection.Reason.allCases.enumerated().map { ($0.element, ejections[$0.offset]) }
  }
}

/// Numbers that any thread adds to, side by side in memory.
// The memory is only ever touched through its atomics, and lives as long as the object: safe to share, which the compiler
// can not see behind a pointer.
private final class SharedCounters: @unchecked Sendable {
  private let values: UnsafeMutablePointer<Atomic<UInt64>>
  private let count: Int

  init(count: Int) {
    self.count = count
    values = .allocate(capacity: count)
    for index in 0..<count { (values + index).initialize(to: Atomic(0)) }
  }

  deinit {
    values.deinitialize(count: count)
    values.deallocate()
  }

  func add(_ index: Int) {
    precondition(index < count)
    values[index].wrappingAdd(1, ordering: .relaxed)
  }

  subscript(index: Int) -> UInt64 {
    precondition(index < count)
    return values[index].load(ordering: .relaxed)
  }
}
