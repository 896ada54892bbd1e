import Routing
import Synchronization

/// What became of an attempt, for the outlier detection of its endpoint.
enum AttemptOutcome: Hashable, Sendable {
  /// With a final status.
  case answered(UInt16)
  /// There was no connection, or it ended before the response.
  case failed(isConnected: Bool)
  /// There was no response in time.
  case timedOut(isConnected: Bool)
}

/// What is counted of an endpoint's requests to find outliers. Any worker adds, at any time.
final class OutlierMonitor: Sendable {
  /// Of all requests since the start: those of answers, and those of getting answers at all.
  struct Totals: Hashable, Sendable {
    var requests: UInt64 = 0
    var successes: UInt64 = 0

    static func + (left: Totals, right: Totals) -> Totals {
      Totals(requests: left.requests &+ right.requests, successes: left.successes &+ right.successes)
    }

    static func - (left: Totals, right: Totals) -> Totals {
      Totals(requests: left.requests &- right.requests, successes: left.successes &- right.successes)
    }
  }

  private let splitsLocalOrigin: Bool
  private let limits: (serverErrors: UInt32, gatewayFailures: UInt32, localFailures: UInt32)
  private let serverErrors = Atomic<UInt32>(0)
  private let gatewayFailures = Atomic<UInt32>(0)
  private let localFailures = Atomic<UInt32>(0)
  private let externalRequests = Atomic<UInt64>(0)
  private let externalSuccesses = Atomic<UInt64>(0)
  private let localRequests = Atomic<UInt64>(0)
  private let localSuccesses = Atomic<UInt64>(0)

  init(_ detection: OutlierDetection) {
    splitsLocalOrigin = detection.splitsLocalOrigin
    limits = (
      detection.consecutive[.consecutive5xx] ?? 0, detection.consecutive[.consecutiveGatewayFailure] ?? 0,
      detection.consecutive[.consecutiveLocalOriginFailure] ?? 0
    )
  }

  /// - Parameter suspect: Called when there have been as many failures in a row as there may be.
  func note(_ outcome: AttemptOutcome, suspect: (OutlierDetection.Reason) -> Void) {
    switch outcome {
    case .answered(let status):
      if splitsLocalOrigin { noteLocal(isFailure: false, suspect) }
      noteExternal(status, suspect)
    case .failed(let isConnected):
      noteFailure(status: 503, isConnected, suspect)
    case .timedOut(let isConnected):
      noteFailure(status: 504, isConnected, suspect)
    }
  }

  private func noteFailure(status: UInt16, _ isConnected: Bool, _ suspect: (OutlierDetection.Reason) -> Void) {
    guard splitsLocalOrigin else { return noteExternal(status, suspect) }
    // To have been connected is a success of its own.
    if isConnected { noteLocal(isFailure: false, suspect) }
    noteLocal(isFailure: true, suspect)
  }

  private func noteExternal(_ status: UInt16, _ suspect: (OutlierDetection.Reason) -> Void) {
    externalRequests.wrappingAdd(1, ordering: .relaxed)
    guard status >= 500 else {
      externalSuccesses.wrappingAdd(1, ordering: .relaxed)
      OutlierMonitor.reset(serverErrors)
      OutlierMonitor.reset(gatewayFailures)
      return
    }
    if (502...504).contains(status) {
      if gatewayFailures.wrappingAdd(1, ordering: .relaxed).newValue == limits.gatewayFailures {
        suspect(.consecutiveGatewayFailure)
      }
    } else {
      OutlierMonitor.reset(gatewayFailures)
    }
    if serverErrors.wrappingAdd(1, ordering: .relaxed).newValue == limits.serverErrors { suspect(.consecutive5xx) }
  }

  private func noteLocal(isFailure: Bool, _ suspect: (OutlierDetection.Reason) -> Void) {
    localRequests.wrappingAdd(1, ordering: .relaxed)
    guard isFailure else {
      localSuccesses.wrappingAdd(1, ordering: .relaxed)
      return OutlierMonitor.reset(localFailures)
    }
    if localFailures.wrappingAdd(1, ordering: .relaxed).newValue == limits.localFailures {
      suspect(.consecutiveLocalOriginFailure)
    }
  }

  /// Without a write where there is nothing to forget, so that workers do not take the line from each other.
  private static func reset(_ counter: borrowing Atomic<UInt32>) {
    if counter.load(ordering: .relaxed) != 0 { counter.store(0, ordering: .relaxed) }
  }

  /// Begins to count failures in a row anew: those of one reason, or of all.
  func forget(_ reason: OutlierDetection.Reason?) {
    if reason == nil || reason == .consecutive5xx { OutlierMonitor.reset(serverErrors) }
    if reason == nil || reason == .consecutiveGatewayFailure { OutlierMonitor.reset(gatewayFailures) }
    if reason == nil || reason == .consecutiveLocalOriginFailure { OutlierMonitor.reset(localFailures) }
  }

  var external: Totals {
    Totals(
      requests: externalRequests.load(ordering: .relaxed), successes: externalSuccesses.load(ordering: .relaxed))
  }

  var local: Totals {
    Totals(requests: localRequests.load(ordering: .relaxed), successes: localSuccesses.load(ordering: .relaxed))
  }
}
