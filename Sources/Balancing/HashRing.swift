/// A ring of hashes (Karger et al., "Consistent Hashing and Random Trees", STOC 1997) with as many points for each seat as its
/// weight asks for: Envoy's, point for point.
public struct HashRing: Sendable {
  /// Sorted.
  private let hashes: [UInt64]
  /// For each of `hashes`, the index of its seat.
  private let seats: [Int32]

  /// - Parameters:
  ///   - minimum: The least number of points, shared out so that the lightest seat has a whole number of them.
  ///   - maximum: The largest number of points; it holds before `minimum`.
  public init(_ seats: [Seat], minimum: UInt64, maximum: UInt64) {
    let sum = seats.reduce(0.0) { $0 + Double($1.weight) }
    let least = Double(seats.map(\.weight).min() ?? 0) / sum
    let scale = min((least * Double(max(minimum, 1))).rounded(.up) / least, Double(max(maximum, 1)))
    var points: [(hash: UInt64, seat: Int32)] = []
    var target = 0.0
    for (index, seat) in seats.enumerated() {
      target += scale * Double(seat.weight) / sum
      let name = "\(seat.address.bracketed):\(seat.port)_"
      var number = 0
      while Double(points.count) < target {
        points.append((XXHash64.hash("\(name)\(number)"), Int32(truncatingIfNeeded: index)))
        number += 1
      }
    }
    points.sort { ($0.hash, $0.seat) < ($1.hash, $1.seat) }
    hashes = points.map(\.hash)
    self.seats = points.map(\.seat)
  }

  public var count: Int { hashes.count }

  /// The place of the first point that is not before `hash`; 0 behind the last one.
  public func place(of hash: UInt64) -> Int {
    var low = 0
    var high = hashes.count
    while low < high {
      let middle = (low &+ high) / 2
      if hashes[middle] < hash { low = middle &+ 1 } else { high = middle }
    }
    return low == hashes.count ? 0 : low
  }

  /// The index of the seat at a place, which goes round the ring.
  public func seat(at place: Int) -> Int { Int(seats[place % seats.count]) }
}
