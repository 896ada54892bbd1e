/// When requests are meant to leave at a constant rate, whatever became of those before them.
///
/// Latency is counted from these times: a server that stalls for a second then shows in the latency of each request that
/// should have been sent within it, which a generator that waits for answers would have omitted ("coordinated omission").
public struct ArrivalSchedule: Sendable {
  private let start: UInt64
  /// Nanoseconds between two requests.
  private let interval: Double
  private var index: UInt64 = 0

  /// `rate` requests per second in all; of `shares` generators this is number `share` and takes its turn in the interval.
  public init(start: UInt64, rate: Double, share: Int = 0, of shares: Int = 1) {
    interval = 1e9 * Double(shares) / rate
    self.start = start + UInt64(1e9 / rate * Double(share))
  }

  /// The time of the next request, in the clock of `start`.
  public var next: UInt64 { start + UInt64(Double(index) * interval) }

  public mutating func advance() { index += 1 }

  /// How many requests from the next one on are meant to leave before `end`.
  public func remaining(before end: UInt64) -> UInt64 {
    guard next < end else { return 0 }
    return UInt64((Double(end - next) / interval).rounded(.up))
  }
}
