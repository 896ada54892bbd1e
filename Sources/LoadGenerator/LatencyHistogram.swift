/// Counts durations in buckets whose width grows with the value: exact below 2048 ns, then 1024 buckets for each power of
/// two, so that a percentile is wrong by less than 0.1 %. The idea is HdrHistogram's (hdrhistogram.org).
///
///     var latencies = LatencyHistogram()
///     latencies.record(125_000)
///     latencies.percentile(99)  // nanoseconds
public struct LatencyHistogram: Sendable {
  private static let linearBits = 11
  private static let half = 1 << (linearBits - 1)
  /// Longer durations, from 2^42 ns (73 minutes) on, count as the longest.
  private static let maximumBits = 42
  private static let bucketCount = (1 << linearBits) + (maximumBits - linearBits) * half

  private var counts = [UInt64](repeating: 0, count: bucketCount)
  public private(set) var count: UInt64 = 0
  /// Nanoseconds, exact.
  public private(set) var minimum: UInt64 = 0
  public private(set) var maximum: UInt64 = 0
  private var sum = 0.0
  private var sumOfSquares = 0.0

  public init() {}

  /// Adds one duration in nanoseconds.
  public mutating func record(_ nanoseconds: UInt64) {
    counts[LatencyHistogram.bucket(of: nanoseconds)] += 1
    minimum = count == 0 ? nanoseconds : min(minimum, nanoseconds)
    maximum = max(maximum, nanoseconds)
    count += 1
    let value = Double(nanoseconds)
    sum += value
    sumOfSquares += value * value
  }

  public mutating func merge(_ other: LatencyHistogram) {
    guard other.count > 0 else { return }
    for index in counts.indices { counts[index] += other.counts[index] }
    minimum = count == 0 ? other.minimum : min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
    count += other.count
    sum += other.sum
    sumOfSquares += other.sumOfSquares
  }

  /// Nanoseconds that `percent` (0...100) of the durations do not exceed; 0 when there are none.
  public func percentile(_ percent: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let wanted = max(1, UInt64((Double(count) * min(max(percent, 0), 100) / 100).rounded(.up)))
    var seen: UInt64 = 0
    for index in counts.indices {
      seen += counts[index]
      if seen >= wanted { return min(max(LatencyHistogram.middle(of: index), minimum), maximum) }
    }
    return maximum
  }

  /// Durations of nearly the same length.
  public struct Bucket: Sendable, Hashable {
    /// Nanoseconds; the last is not of the bucket.
    public let range: Range<UInt64>
    public let count: UInt64
  }

  /// Those that are not empty, ascending. Their bounds are the same in every histogram, so that those of several runs can
  /// be added up.
  public var buckets: [Bucket] {
    counts.indices.compactMap { index in
      guard counts[index] > 0 else { return nil }
      let range = LatencyHistogram.lowest(of: index)..<LatencyHistogram.lowest(of: index + 1)
      return Bucket(range: range, count: counts[index])
    }
  }

  /// Nanoseconds.
  public var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// Nanoseconds.
  public var standardDeviation: Double {
    count == 0 ? 0 : max(0, sumOfSquares / Double(count) - mean * mean).squareRoot()
  }

  /// Nanoseconds.
  public var total: Double { sum }

  static func bucket(of value: UInt64) -> Int {
    let bits = 64 - value.leadingZeroBitCount
    guard bits > linearBits else { return Int(value) }
    guard bits <= maximumBits else { return bucketCount - 1 }
    let shift = bits - linearBits
    return (1 << linearBits) + (shift - 1) * half + Int(value >> UInt64(shift)) - half
  }

  static func middle(of bucket: Int) -> UInt64 {
    let lowest = lowest(of: bucket)
    return lowest + (self.lowest(of: bucket + 1) - lowest) / 2
  }

  private static func lowest(of bucket: Int) -> UInt64 {
    guard bucket >= 1 << linearBits else { return UInt64(bucket) }
    let above = bucket - (1 << linearBits)
    return UInt64(above % half + half) << UInt64(above / half + 1)
  }
}
