/// How long to wait before trying again: doubling from `base` up to `maximum`, each time a random part of it, so that
/// many clients do not come back together.
public struct Backoff: Hashable, Sendable {
  public let base: Duration
  public let maximum: Duration
  private var attempts = 0

  public init(base: Duration = .milliseconds(100), maximum: Duration = .seconds(30)) {
    self.base = base
    self.maximum = maximum
  }

  /// Between half and all of `base * 2^n`, for the n-th call since the start or the last `reset`.
  public mutating func next() -> Duration {
    let full = min(base * (1 << min(attempts, 20)), maximum)
    attempts += 1
    return full * Double.random(in: 0.5...1)
  }

  public mutating func reset() { attempts = 0 }
}
