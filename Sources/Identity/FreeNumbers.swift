/// Finds numbers that nothing in use can be mistaken for.
public enum FreeNumbers {
  /// The widest run of numbers in `range` that holds none of `used`; the first of them when there are several. nil when
  /// all are used.
  public static func widestRun(in range: ClosedRange<UInt32>, avoiding used: Set<UInt32>) -> ClosedRange<UInt32>? {
    var widest: ClosedRange<UInt32>?
    func consider(_ lower: UInt64, _ upper: UInt64) {
      guard lower <= upper, let first = UInt32(exactly: lower), let last = UInt32(exactly: upper) else { return }
      if let widest, widest.upperBound - widest.lowerBound >= last - first { return }
      widest = first...last
    }
    var next = UInt64(range.lowerBound)
    for number in used.filter(range.contains).sorted() {
      if number > 0 { consider(next, UInt64(number) - 1) }
      next = UInt64(number) + 1
    }
    consider(next, UInt64(range.upperBound))
    return widest
  }
}
