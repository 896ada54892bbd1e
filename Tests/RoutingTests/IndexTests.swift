import JSON
import TestSupport
import Testing

@testable import Routing

@Suite struct IndexTests {
  @Test(arguments: 0..<200) func `the longest text that another begins with`(_ seed: Int) {
    var random = SeededGenerator(seed: seed &* 7919)
    func text(_ random: inout SeededGenerator) -> String {
      String((0..<Int.random(in: 0...5, using: &random)).map { _ in random.pick(["a", "b", "A", "/"]) }.joined())
    }
    let texts = (0..<Int.random(in: 0...12, using: &random)).map { _ in text(&random) }
    let folding = LiteralIndex.Folding(ignoresCase: random.chance(50), isReversed: random.chance(50))
    func folded(_ text: String) -> String {
      let cased = folding.ignoresCase ? text.lowercased() : text
      return folding.isReversed ? String(cased.reversed()) : cased
    }
    let index = LiteralIndex(texts, folding)
    for _ in 0..<50 {
      let text = text(&random)
      var found = Array(text.utf8).withUnsafeBytes { index.longestPrefix(of: $0) }
      var lengths: [Int] = []
      while let place = found {
        lengths.append(index.length(place))
        found = index.parent(place)
      }
      let expected = Set(texts.map(folded).filter { folded(text).hasPrefix($0) }.map(\.utf8.count))
      #expect(lengths == expected.sorted(by: >), "\(texts) \(text)")
    }
  }

  @Test func `five thousand routes are compiled and asked quickly`() throws {
    let routes = (0..<5_000).map { index -> JSONValue in
      ["match": ["prefix": .string("/service-\(index)/")], "route": ["cluster": .string("c\(index)")]]
    }
    let configuration = try RouteConfiguration(
      JSONCursor(["virtual_hosts": [["name": "all", "domains": ["*"], "routes": .array(routes)]]]))
    let clock = ContinuousClock()
    var compiled: RouteTable?
    let compiling = try clock.measure { compiled = try RouteTable(configuration) }
    let table = try #require(compiled)
    let asking = clock.measure {
      for index in 0..<1_000 { #expect(table.decision("/service-\(index * 5)/x") == "c\(index * 5)") }
    }
    print("5,000 routes: compiled in \(compiling), 1,000 requests in \(asking)")
  }
}
