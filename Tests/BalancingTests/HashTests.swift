import Addressing
import Balancing
import Testing

@Suite struct HashTests {
  /// From the specification's own implementation.
  static let known: [(String, UInt64, UInt64)] = [
    ("", 0, 0xEF46_DB37_51D8_E999),
    ("a", 0, 0xD24E_C4F1_A98C_6E5B),
    ("abc", 0, 0x44BC_2CF5_AD77_0999),
  ]

  @Test(arguments: known) func `known hashes`(_ text: String, _ seed: UInt64, _ expected: UInt64) {
    #expect(XXHash64.hash(text, seed: seed) == expected)
  }

  @Test func `all lengths differ`() {
    let texts = (0..<100).map { String(repeating: "x", count: $0) }
    #expect(Set(texts.map { XXHash64.hash($0) }).count == texts.count)
    #expect(XXHash64.hash("abc", seed: 1) != XXHash64.hash("abc"))
  }

  private func seats(_ count: Int, weight: (Int) -> Int = { _ in 1 }) -> [Seat] {
    (0..<count).map { Seat(IPAddress(v4: 0x0A00_0001 + UInt32($0)), port: 80, weight: weight($0)) }
  }

  static let rings: [(Int, UInt64, Int)] = [(1, 1024, 1024), (3, 1024, 1026), (4, 8, 8), (100, 0, 100)]

  @Test(arguments: rings)
  func `a ring has whole numbers of points for each seat`(_ count: Int, _ minimum: UInt64, _ expected: Int) {
    let ring = HashRing(seats(count), minimum: minimum, maximum: 8 << 20)
    #expect(ring.count == expected)
  }

  @Test func `a ring is no larger than it may be`() {
    #expect(HashRing(seats(10), minimum: 100, maximum: 7).count <= 10)
    #expect(HashRing(seats(10), minimum: 100, maximum: 7).count >= 1)
  }

  @Test func `a ring goes round`() {
    let ring = HashRing(seats(3), minimum: 1024, maximum: 1 << 20)
    #expect(ring.place(of: .max) == 0)
    #expect(ring.place(of: 0) == 0)
    #expect(ring.seat(at: ring.count) == ring.seat(at: 0))
  }

  @Test func `points of a ring are by weight`() {
    let ring = HashRing(seats(2) { $0 == 0 ? 1 : 3 }, minimum: 4000, maximum: 1 << 20)
    let first = (0..<ring.count).filter { ring.seat(at: $0) == 0 }.count
    #expect(first == 1000)
  }

  @Test func `who stays on a ring keeps what it has`() {
    let before = HashRing(seats(10), minimum: 1000, maximum: 1 << 20)
    let after = HashRing(Array(seats(10).dropLast()), minimum: 900, maximum: 1 << 20)
    for step in 0..<1000 {
      let hash = UInt64(step) &* 0x9E37_79B9_7F4A_7C15
      let old = before.seat(at: before.place(of: hash))
      if old != 9 { #expect(after.seat(at: after.place(of: hash)) == old) }
    }
  }
}

@Suite struct SharesTests {
  @Test func `equal shares take turns`() {
    let shares = Shares([7, 7, 7])
    #expect(shares.isEqual)
    #expect((0..<6).map { shares.index(ofTurn: UInt64($0)) } == [0, 1, 2, 0, 1, 2])
  }

  static let weights: [[UInt32]] = [
    [90, 10], [1, 1, 8], [1, .max], [3, 0x8000_0000, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9],
  ]

  /// Not only on the whole: in every stretch of turns, each share is off by no more than a few.
  @Test(arguments: weights) func `turns are spread evenly`(_ weights: [UInt32]) {
    let shares = Shares(weights)
    let sum = weights.reduce(0.0) { $0 + Double($1) }
    for start in stride(from: 0, to: 5000, by: 500) {
      var counts = weights.map { _ in 0 }
      for turn in start..<start + 500 { counts[shares.index(ofTurn: UInt64(turn))] += 1 }
      for (count, weight) in zip(counts, weights) {
        #expect(abs(Double(count) - 500 * Double(weight) / sum) < 4, "\(weights) from \(start): \(counts)")
      }
    }
  }

  @Test func `points at the ends`() {
    for weights: [UInt32] in [[1], [5, 5], [1, 2]] {
      let shares = Shares(weights)
      #expect(shares.index(at: 0) == 0)
      #expect(shares.index(at: .max) == weights.count - 1)
    }
  }
}
