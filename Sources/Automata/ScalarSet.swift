/// A set of Unicode code points as sorted, disjoint, non-adjacent ranges.
struct ScalarSet: Hashable, Sendable {
  private(set) var ranges: [ClosedRange<UInt32>]

  static let maximum: UInt32 = 0x10FFFF
  static let all = ScalarSet(0...maximum)

  init() { ranges = [] }

  init(_ range: ClosedRange<UInt32>) { ranges = [range] }

  init(_ ranges: [ClosedRange<UInt32>]) {
    self.ranges = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) { append(range) }
  }

  /// Adds a range that begins at or after the last one.
  private mutating func append(_ range: ClosedRange<UInt32>) {
    if let last = ranges.last, range.lowerBound <= last.upperBound + 1 {
      ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
    } else {
      ranges.append(range)
    }
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  var complement: ScalarSet {
    var result = ScalarSet()
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.ranges.append(next...(range.lowerBound - 1)) }
      next = range.upperBound + 1
    }
    if next <= ScalarSet.maximum { result.ranges.append(next...ScalarSet.maximum) }
    return result
  }

  /// The set and every code point that differs from a member only by case.
  var caseFolded: ScalarSet {
    var result = ranges
    for range in ranges { CaseFolding.appendEquivalents(of: range, to: &result) }
    return result.count == ranges.count ? self : ScalarSet(result)
  }
}
