/// Seats by their weights: maps numbers that are spread evenly over 64 bits to indices, each as often as its weight asks for.
public struct Shares: Sendable {
  public let count: Int
  /// The weights up to and with each index; empty where all are equal.
  private let sums: [UInt64]

  /// Weights above 0, whose sum is less than 2^64.
  public init(_ weights: [UInt32]) {
    count = weights.count
    guard let first = weights.first, weights.contains(where: { $0 != first }) else {
      sums = []
      return
    }
    var sum: UInt64 = 0
    sums = weights.map { weight in
      sum += UInt64(weight)
      return sum
    }
  }

  public var isEqual: Bool { sums.isEmpty }

  /// The index for a point of 0..<2^64. There must be one.
  public func index(at point: UInt64) -> Int {
    guard let sum = sums.last else { return Int(UInt64(count).multipliedFullWidth(by: point).high) }
    let rest = sum.multipliedFullWidth(by: point).high
    var low = 0
    var high = count &- 1
    while low < high {
      let middle = (low &+ high) / 2
      if sums[middle] <= rest { low = middle &+ 1 } else { high = middle }
    }
    return low
  }

  /// The index whose turn it is. Equal shares take turns one after the other; others by the golden ratio's multiples, which
  /// spread every share evenly over any stretch of turns (Weyl).
  public func index(ofTurn turn: UInt64) -> Int {
    isEqual ? Int(turn % UInt64(count)) : index(at: turn &* SplitMix64.increment)
  }
}
