import Routing
import Synchronization

/// Endpoints that have failed as often in a row as they may, for who decides what becomes of them. Any worker adds.
final class HealthSuspects: Sendable {
  struct Suspect: Sendable {
    let endpoint: RoutedEndpoint
    let reason: OutlierDetection.Reason
  }

  private struct State {
    var suspects: [Suspect] = []
    var wake: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())

  func add(_ endpoint: RoutedEndpoint, _ reason: OutlierDetection.Reason) {
    let wake = state.withLock { state -> (@Sendable () -> Void)? in
      // Without anybody to decide there would be ever more of them.
      guard state.wake != nil else { return nil }
      state.suspects.append(Suspect(endpoint: endpoint, reason: reason))
      return state.wake
    }
    wake?()
  }

  func collect() -> [Suspect] {
    state.withLock { state in
      defer { state.suspects.removeAll() }
      return state.suspects
    }
  }

  /// - Parameter wake: Called when there is somebody to look at; nil: nobody will.
  func setWake(_ wake: (@Sendable () -> Void)?) {
    state.withLock { state in
      state.wake = wake
      if wake == nil { state.suspects.removeAll() }
    }
  }
}
