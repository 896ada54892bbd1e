import Routing
import Synchronization

/// A server of a cluster. The same object for as long as the cluster has the address, so what is counted lives on.
public final class RoutedEndpoint: Sendable {
  /// What makes it another one: who differs in any of it is asked anew whether it serves.
  struct Identity: Hashable, Sendable {
    let address: SocketAddress
    let hostname: String
    /// nil where it is not asked.
    var check: EndpointCheck?
    var outlierDetection: OutlierDetection?
  }

  let identity: Identity
  public let health: EndpointHealth
  private let monitor: OutlierMonitor?
  private let suspects: HealthSuspects?
  private let activeRequests = Atomic<Int>(0)
  private let allRequests = Atomic<UInt64>(0)
  private let failedRequests = Atomic<UInt64>(0)

  /// - Parameter suspects: Who is told when it has failed too often in a row.
  init(_ identity: Identity, suspects: HealthSuspects? = nil) {
    self.identity = identity
    self.suspects = suspects
    monitor = identity.outlierDetection.map(OutlierMonitor.init)
    health = EndpointHealth(isChecked: identity.check != nil)
  }

  public var address: SocketAddress { identity.address }
  /// What `auto_host_rewrite` makes the authority; empty for none.
  public var hostname: String { identity.hostname }

  /// A request is on its way here; ``ended(failed:)`` follows exactly once.
  func began() {
    activeRequests.wrappingAdd(1, ordering: .relaxed)
    allRequests.wrappingAdd(1, ordering: .relaxed)
  }

  /// It was answered, or given up. `failed`: there was no connection, no whole answer, or one of 5xx.
  func ended(failed: Bool) {
    activeRequests.wrappingSubtract(1, ordering: .relaxed)
    if failed { failedRequests.wrappingAdd(1, ordering: .relaxed) }
  }

  /// What became of an attempt, for who looks for outliers.
  func note(_ outcome: AttemptOutcome) {
    guard let monitor else { return }
    monitor.note(outcome) { reason in suspects?.add(self, reason) }
  }

  /// What was counted since the start.
  var counts: OutlierDetector.Counts {
    OutlierDetector.Counts(external: monitor?.external ?? .init(), local: monitor?.local ?? .init())
  }

  /// Begins to count failures in a row anew: those of one reason, or of all.
  func forgetFailures(_ reason: OutlierDetection.Reason? = nil) { monitor?.forget(reason) }

  /// Requests that have begun and not ended.
  public var active: Int { activeRequests.load(ordering: .relaxed) }
  public var total: UInt64 { allRequests.load(ordering: .relaxed) }
  public var failures: UInt64 { failedRequests.load(ordering: .relaxed) }
}

/// How an endpoint is asked whether it serves.
struct EndpointCheck: Hashable, Sendable {
  let check: HealthCheck
  /// Whom the checks go to.
  let address: SocketAddress
  /// What requests of checks have for their host.
  let host: String
}
