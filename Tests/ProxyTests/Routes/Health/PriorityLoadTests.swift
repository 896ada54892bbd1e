import Testing

@testable import Proxy

/// The rule as Envoy's documentation has it ("Priority levels", "Panic threshold"), in fractions where it can be.
private struct SlowPriorityLoad {
  var healthy: [Int]
  var degraded: [Int]
  var panics: [Bool]

  init(_ levels: [PriorityLoad.Level], _ threshold: Int) {
    func share(_ part: Int, _ whole: Int) -> Int { whole == 0 ? 0 : min(100, 140 * part / whole) }
    let health = levels.map { share($0.healthy, $0.endpoints) }
    let poor = levels.map { share($0.degraded, $0.endpoints) }
    let total = min(100, (health + poor).reduce(0, +))
    healthy = Array(repeating: 0, count: levels.count)
    degraded = healthy
    panics = levels.map {
      total != 100 && ($0.endpoints == 0 || 100 * ($0.healthy + $0.degraded) < threshold * $0.endpoints)
    }
    if threshold == 0 { panics = levels.map { _ in false } }
    var all = health + poor
    var left = 100
    if total > 0 {
      for index in all.indices {
        all[index] = min(left, all[index] * 100 / total)
        left -= all[index]
      }
      all[(health + poor).firstIndex { $0 > 0 }!] += left
      healthy = Array(all.prefix(levels.count))
      degraded = Array(all.suffix(levels.count))
    } else if threshold == 0 {
      healthy[0] = 100
    }
    guard panics.allSatisfy({ $0 }) else { return }
    let sum = levels.map(\.endpoints).reduce(0, +)
    degraded = degraded.map { _ in 0 }
    healthy = levels.map { sum == 0 ? 0 : 100 * $0.endpoints / sum }
    healthy[levels.firstIndex { $0.endpoints > 0 } ?? 0] += 100 - healthy.reduce(0, +)
  }
}

@Suite struct PriorityLoadTests {
  struct Case: Sendable {
    let levels: [(endpoints: Int, healthy: Int, degraded: Int)]
    var threshold = 50
    let healthy: [Int]
    var degraded: [Int]?
    var panics: [Bool]?
  }

  /// The examples of Envoy's documentation among them.
  static let cases: [Case] = [
    Case(levels: [(10, 10, 0), (10, 10, 0)], healthy: [100, 0]),
    // 72 % times 1.4 is enough for everything.
    Case(levels: [(100, 72, 0), (100, 72, 0)], healthy: [100, 0]),
    Case(levels: [(100, 71, 0), (100, 71, 0)], healthy: [99, 1]),
    Case(levels: [(100, 50, 0), (100, 60, 0)], healthy: [70, 30]),
    Case(levels: [(100, 25, 0), (100, 100, 0)], healthy: [35, 65]),
    Case(levels: [(100, 0, 0), (100, 100, 0)], healthy: [0, 100], panics: [false, false]),
    // Together they are not enough: each takes its part of what there is.
    Case(levels: [(100, 25, 0), (100, 25, 0)], healthy: [50, 50], panics: [true, true]),
    Case(levels: [(100, 5, 0), (100, 65, 0)], healthy: [8, 92], panics: [true, false]),
    Case(levels: [(10, 5, 5)], healthy: [70], degraded: [30]),
    Case(levels: [(10, 0, 10)], healthy: [0], degraded: [100]),
    // Nobody serves: all of them are asked, by their number.
    Case(levels: [(10, 0, 0), (30, 0, 0)], healthy: [25, 75], panics: [true, true]),
    Case(levels: [(10, 4, 0)], healthy: [100], panics: [true]),
    Case(levels: [(10, 4, 0)], threshold: 40, healthy: [100], panics: [false]),
    Case(levels: [(10, 0, 0)], threshold: 0, healthy: [100], panics: [false]),
    Case(levels: [(0, 0, 0)], healthy: [100]),
  ]

  @Test(arguments: cases) func `a priority gets what it can take`(_ example: Case) {
    let load = PriorityLoad(
      example.levels.map { .init(endpoints: $0.endpoints, healthy: $0.healthy, degraded: $0.degraded) },
      panicThreshold: example.threshold)
    #expect(load.healthy == example.healthy)
    if let degraded = example.degraded { #expect(load.degraded == degraded) }
    if let panics = example.panics { #expect(load.panics == panics) }
  }

  @Test func `as the slow rule for generated priorities`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let levels = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        let count = Int.random(in: 0...12, using: &random)
        let healthy = Int.random(in: 0...count, using: &random)
        return PriorityLoad.Level(
          endpoints: count, healthy: healthy, degraded: Int.random(in: 0...(count - healthy), using: &random))
      }
      let threshold = [0, 30, 50, 100].randomElement(using: &random)!
      let load = PriorityLoad(levels, panicThreshold: threshold)
      let slow = SlowPriorityLoad(levels, threshold)
      #expect(
        load.healthy == slow.healthy && load.degraded == slow.degraded && load.panics == slow.panics,
        "\(levels) \(threshold)")
      #expect((load.healthy + load.degraded).reduce(0, +) == 100)
      var counts: [Int: Int] = [:]
      for point in 0..<100 { counts[load.choose(UInt64(point)).level, default: 0] += 1 }
      for index in levels.indices { #expect(counts[index, default: 0] == load.healthy[index] + load.degraded[index]) }
    }
  }
}
