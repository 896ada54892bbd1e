import Routing
import Synchronization

/// What is known of an endpoint's health by asking it and by its answers. Who watches it writes; anybody reads.
public final class EndpointHealth: Sendable {
  /// Why an endpoint does not serve, or only where there is nobody better.
  struct Flags: OptionSet, Hashable, Sendable {
    let rawValue: UInt32

    /// It does not pass its checks, or has not been checked yet.
    static let failsChecks = Flags(rawValue: 1)
    /// Of those that fail, one that did not answer in time.
    static let timesOut = Flags(rawValue: 2)
    /// It passes its checks, and says that it is degraded.
    static let saysDegraded = Flags(rawValue: 4)
    /// It is taken out for what became of its requests.
    static let isEjected = Flags(rawValue: 8)
  }

  /// What the choice of an endpoint depends on.
  enum Verdict: String, Hashable, Sendable {
    case healthy
    case degraded
    case unhealthy
  }

  private let state: Atomic<UInt32>

  /// - Parameter isChecked: Nothing is known before its first check.
  init(isChecked: Bool) { state = Atomic(isChecked ? Flags.failsChecks.rawValue : 0) }

  var flags: Flags { Flags(rawValue: state.load(ordering: .relaxed)) }

  func insert(_ flags: Flags) { state.bitwiseOr(flags.rawValue, ordering: .relaxed) }
  func remove(_ flags: Flags) { state.bitwiseAnd(~flags.rawValue, ordering: .relaxed) }

  /// - Parameter status: What the configuration says of it.
  func verdict(status: LoadAssignment.HealthStatus) -> Verdict {
    let flags = flags
    if flags.contains(.failsChecks) || flags.contains(.isEjected) { return .unhealthy }
    return switch status {
    case .unhealthy, .draining, .timeout: .unhealthy
    case .degraded: .degraded
    case .unknown, .healthy: flags.contains(.saysDegraded) ? .degraded : .healthy
    }
  }
}
