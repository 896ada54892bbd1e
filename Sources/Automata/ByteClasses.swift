/// The bytes that no state of an automaton tells apart, as a partition of 0...255.
struct ByteClasses {
  /// The class of each byte; 256 entries, classes numbered from 0 without gaps.
  private(set) var map: [UInt8]
  private(set) var count: Int

  /// A partition into intervals that begin at 0 and wherever `boundaries` is true (256 entries).
  init(boundaries: [Bool]) {
    map = []
    map.reserveCapacity(256)
    var current = 0
    for byte in 0..<256 {
      if byte > 0 && boundaries[byte] { current += 1 }
      map.append(UInt8(current))
    }
    count = current + 1
  }

  /// A partition that is known: `map` has 256 entries below `count`.
  init(map: [UInt8], count: Int) {
    self.map = map
    self.count = count
  }

  /// The coarser partition in which class `c` has become `merged[c]`.
  init(_ classes: ByteClasses, merged: [UInt8], count: Int) {
    map = classes.map.map { merged[Int($0)] }
    self.count = count
  }

  /// The intervals that the automaton's ranges and assertions tell apart.
  init(of nfa: NFA) {
    var boundaries = [Bool](repeating: false, count: 257)
    func mark(_ low: UInt8, _ high: UInt8) {
      boundaries[Int(low)] = true
      boundaries[Int(high) + 1] = true
    }
    for state in nfa.states {
      switch state {
      case .bytes(let low, let high, _): mark(low, high)
      case .assertion(let assertion, _):
        switch assertion {
        case .beginText, .endText: break
        case .beginLine, .endLine: mark(0x0A, 0x0A)
        case .wordBoundary, .notWordBoundary:
          for range: ClosedRange<UInt8> in [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A] {
            mark(range.lowerBound, range.upperBound)
          }
        }
      default: break
      }
    }
    self.init(boundaries: boundaries)
  }

  /// For each class the byte that reads best in an example.
  var representatives: [UInt8] {
    var best = [UInt8](repeating: 0, count: count)
    var ranks = [Int](repeating: Int.max, count: count)
    for byte in UInt8.min...UInt8.max {
      let index = Int(map[Int(byte)])
      let rank = ByteClasses.rank(byte)
      if rank < ranks[index] {
        ranks[index] = rank
        best[index] = byte
      }
    }
    return best
  }

  static func rank(_ byte: UInt8) -> Int {
    switch byte {
    case 0x61...0x7A: 0
    case 0x30...0x39, 0x41...0x5A: 1
    case 0x2F: 2
    case 0x21...0x7E: 3
    case 0x20: 4
    case 0x80...0xFF: 5
    default: 6
    }
  }
}
