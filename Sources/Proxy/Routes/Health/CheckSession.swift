import Routing

/// The checks of one endpoint, one after the other.
final class CheckSession {
  enum Outcome {
    /// `isNews`: it changes how the endpoint is.
    case passed(isNews: Bool)
    case failed(CheckFailure, isNews: Bool)
  }

  /// Of its timer and its socket.
  let number: UInt32
  let endpoint: RoutedEndpoint
  let check: EndpointCheck
  let metrics: ClusterMetrics
  private var state: CheckState
  private var connection: CheckConnection?
  private var lastFailure: CheckFailure?
  /// Whether a check has come to an end.
  private(set) var hasResult = false
  /// Of the next check; of this one's end while there is one.
  private(set) var deadline: UInt64

  init(
    _ number: UInt32, _ endpoint: RoutedEndpoint, _ check: EndpointCheck, _ metrics: ClusterMetrics, now: UInt64
  ) {
    self.number = number
    self.endpoint = endpoint
    self.check = check
    self.metrics = metrics
    state = CheckState(check.check)
    deadline = now.later(by: check.check.firstDelay { .random(in: .min ... .max) }.nanoseconds)
  }

  /// The socket of the check that is on its way.
  var descriptor: Int32? { connection?.fd }

  /// Begins the next check, or ends this one, whose time is over.
  func expire(_ now: UInt64) -> CheckExchange.Progress {
    guard connection == nil else { return .failed(.timeout(check.check.timeout)) }
    deadline = now.later(by: check.check.timeout.nanoseconds)
    switch CheckConnection.open(check) {
    case .success(let opened):
      connection = opened
      return opened.drive()
    case .failure(let error): return .failed(error.failure)
    }
  }

  /// Goes on with the check as far as its socket lets it.
  func drive() -> CheckExchange.Progress { connection?.drive() ?? .waiting }

  /// Takes the result of a check, if that is one, and plans the next.
  func conclude(_ progress: CheckExchange.Progress, _ now: UInt64) -> Outcome? {
    let transition: CheckState.Transition
    let outcome: Outcome
    switch progress {
    case .waiting: return nil
    case .passed(let isDegraded):
      let wasDegraded = endpoint.health.flags.contains(.saysDegraded)
      transition = state.pass()
      lastFailure = nil
      if state.isHealthy { endpoint.health.remove([.failsChecks, .timesOut]) }
      if isDegraded { endpoint.health.insert(.saysDegraded) } else { endpoint.health.remove(.saysDegraded) }
      outcome = .passed(isNews: transition == .changed || isDegraded != wasDegraded)
    case .failed(let failure):
      transition = state.fail(isFinal: failure.isFinal)
      lastFailure = failure
      if case .timeout = failure, !state.isHealthy {
        endpoint.health.insert(.timesOut)
      } else {
        endpoint.health.remove(.timesOut)
      }
      if !state.isHealthy { endpoint.health.insert(.failsChecks) }
      outcome = .failed(failure, isNews: transition == .changed)
    }
    connection = nil
    hasResult = true
    if case .passed = outcome { metrics.checked(passed: true) } else { metrics.checked(passed: false) }
    let isPassed = if case .passed = outcome { true } else { false }
    let delay = check.check.delay(
      afterPassing: isPassed, transition, hasTraffic: metrics.hasTraffic, random: { .random(in: .min ... .max) })
    deadline = now.later(by: delay.nanoseconds)
    return outcome
  }

  /// Why the endpoint does not serve, or is about not to; nil where it passes its checks.
  var standing: String? {
    if let lastFailure { return "failed check: \(lastFailure)" }
    return state.isFirst ? "not checked yet" : nil
  }
}
