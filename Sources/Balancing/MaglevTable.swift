/// Maglev's lookup table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4).
///
/// Each backend walks the table by a permutation of its own and takes the next free entry when it is its turn. What a
/// table says depends on the backends' addresses, ports and weights alone, so every node builds the same.
public enum MaglevTable {
  /// The primes that a table can have: about a hundred times as many as the largest Service has backends keep the share
  /// of each within one percent.
  public static let sizes = [251, 509, 1021, 2039, 4093, 8191, 16381]
  public static let defaultSize = 16381

  /// For each entry, the index in `seats` of its backend. `seats` must be sorted, or the same backends make another table;
  /// empty where there are none. `size` is a prime number.
  ///
  /// Weights change how often a backend has its turn, as 3.4 suggests: in each round it gains its weight in credit, and a
  /// turn costs the greatest weight there is.
  public static func build(_ seats: [Seat], size: Int) -> [Int32] {
    guard let greatest = seats.map(\.weight).max(), greatest > 0, size > 1 else { return [] }
    var table = [Int32](repeating: -1, count: size)
    var walkers = seats.map { Walker($0, size: size) }
    var filled = 0
    while true {
      for index in walkers.indices {
        walkers[index].credit += walkers[index].weight
        guard walkers[index].credit >= greatest else { continue }
        walkers[index].credit -= greatest
        let entry = walkers[index].take(from: table, size)
        table[entry] = Int32(truncatingIfNeeded: index)
        filled += 1
        if filled == size { return table }
      }
    }
  }

  private struct Walker {
    let weight: Int
    var credit = 0
    /// The next entry to try.
    private var position: Int
    private let skip: Int

    init(_ seat: Seat, size: Int) {
      let first = mix(
        mix(mix(0x6d61_7274_6c65_7431, seat.address.high), seat.address.low), UInt64(seat.port))
      let second = mix(first, 0x6d61_7274_6c65_7432)
      weight = seat.weight
      position = Int(first % UInt64(size))
      skip = Int(second % UInt64(size - 1)) + 1
    }

    mutating func take(from table: borrowing [Int32], _ size: Int) -> Int {
      while true {
        let entry = position
        position += skip
        if position >= size { position -= size }
        if table[entry] < 0 { return entry }
      }
    }
  }

  /// A word more.
  private static func mix(_ state: UInt64, _ word: UInt64) -> UInt64 {
    SplitMix64.mix((state ^ word) &+ SplitMix64.increment)
  }
}
