import Routing

/// When a name is asked for again: pure.
struct NameSchedule: Hashable, Sendable {
  private let resolution: NameResolution
  /// The longest wait after the next failure.
  private var limit: Duration

  init(_ resolution: NameResolution) {
    self.resolution = resolution
    limit = resolution.failureRate?.base ?? .zero
  }

  /// How long to wait after a lookup; at least a millisecond.
  mutating func next(isAnswered: Bool, random: UInt64) -> Duration {
    if isAnswered || resolution.failureRate == nil {
      limit = resolution.failureRate?.base ?? .zero
      let jitter = resolution.jitter.milliseconds
      let wait = resolution.refreshRate.milliseconds.later(by: jitter == 0 ? 0 : random % jitter)
      return .milliseconds(Int64(clamping: max(1, wait)))
    }
    let wait = random % max(1, limit.milliseconds)
    if let rate = resolution.failureRate { limit = min(rate.maximum, limit * 2) }
    return .milliseconds(Int64(clamping: max(1, wait)))
  }
}
