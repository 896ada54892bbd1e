/// How often a peer may do what costs us and serves nobody: a bucket that fills by time, and is emptied by each offence.
public struct Budget {
  private let burst: UInt64
  private let perSecond: UInt64
  /// In thousand millionths of an offence.
  private var level: UInt64
  private var filledAt: UInt64 = 0

  private static let unit: UInt64 = 1_000_000_000

  /// Of streams that are opened and given up (CVE-2023-44487), by either side because of the client; nghttp2 allows as many.
  public static var resets: Budget { Budget(burst: 1000, perSecond: 33) }

  /// Of frames that move nothing: PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE, what comes for streams that are over.
  public static var idleFrames: Budget { Budget(burst: 10_000, perSecond: 1000) }

  public init(burst: UInt64, perSecond: UInt64) {
    self.burst = burst
    self.perSecond = perSecond
    level = burst * Self.unit
  }

  /// - Parameter now: a monotonic clock's nanoseconds.
  /// - Returns: false when there is nothing left.
  public mutating func spend(now: UInt64) -> Bool {
    if now > filledAt {
      // More than fills it would only overflow.
      let elapsed = min(now &- filledAt, Self.unit &* (burst / perSecond &+ 1))
      level = min(burst &* Self.unit, level &+ elapsed &* perSecond)
      filledAt = now
    }
    guard level >= Self.unit else { return false }
    level &-= Self.unit
    return true
  }

  /// Something of use was done: so much more may be.
  @inline(__always)
  public mutating func earn(_ count: UInt64) {
    level = min(burst &* Self.unit, level &+ count &* Self.unit)
  }
}
