import Testing

@testable import LoadGenerator

@Suite struct LatencyHistogramTests {
  @Test(arguments: [0, 1, 2047, 2048, 4095, 4096, 123_456, 999_999_937, 1 << 41, (1 << 42) - 1] as [UInt64])
  func `a bucket's middle is within 0.1 % of each value in it`(value: UInt64) {
    let middle = LatencyHistogram.middle(of: LatencyHistogram.bucket(of: value))
    #expect(abs(Double(middle) - Double(value)) <= Double(value) * 0.001)
  }

  @Test func `buckets follow each other without a gap`() {
    var previous = LatencyHistogram.bucket(of: 0)
    for value in UInt64(1)...20_000 {
      let bucket = LatencyHistogram.bucket(of: value)
      #expect(bucket == previous || bucket == previous + 1)
      previous = bucket
    }
  }

  @Test func `percentiles of a thousand values are the values at those ranks`() {
    var histogram = LatencyHistogram()
    for value in UInt64(1)...1000 { histogram.record(value) }
    #expect(histogram.percentile(0) == 1)
    #expect(histogram.percentile(50) == 500)
    #expect(histogram.percentile(99) == 990)
    #expect(histogram.percentile(99.9) == 999)
    #expect(histogram.percentile(100) == 1000)
    #expect(histogram.mean == 500.5)
    #expect(abs(histogram.standardDeviation - 288.675) < 0.01)
  }

  @Test func `two halves merged are the whole`() {
    var halves = (LatencyHistogram(), LatencyHistogram())
    var whole = LatencyHistogram()
    for value in UInt64(0)..<10_000 {
      let spread = value &* 2_654_435_761 % 50_000_000
      whole.record(spread)
      if value % 2 == 0 { halves.0.record(spread) } else { halves.1.record(spread) }
    }
    halves.0.merge(halves.1)
    for percent in [1.0, 50, 90, 99, 99.99] { #expect(halves.0.percentile(percent) == whole.percentile(percent)) }
    #expect(halves.0.count == 10_000)
    #expect(halves.0.minimum == whole.minimum)
    #expect(halves.0.maximum == whole.maximum)
  }

  @Test func `an empty histogram says zero, one longer than all buckets its exact maximum`() {
    var histogram = LatencyHistogram()
    #expect(histogram.percentile(99) == 0)
    histogram.record(.max)
    #expect(histogram.maximum == .max)
    histogram.merge(LatencyHistogram())
    #expect(histogram.count == 1)
  }

  @Test func `buckets tell where each duration is, and hold all of them`() {
    var histogram = LatencyHistogram()
    let values: [UInt64] = [0, 1, 1, 2047, 2048, 2049, 2050, 999_999_937]
    for value in values { histogram.record(value) }
    let buckets = histogram.buckets
    #expect(buckets.map(\.count) == [1, 2, 1, 2, 1, 1])
    #expect(buckets.map(\.range.lowerBound) == [0, 1, 2047, 2048, 2050, 999_817_216])
    for (bucket, next) in zip(buckets, buckets.dropFirst()) {
      #expect(bucket.range.upperBound <= next.range.lowerBound)
    }
    for value in values { #expect(buckets.contains { $0.range.contains(value) }) }
  }
}
