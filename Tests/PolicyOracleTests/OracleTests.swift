import Foundation
import JSON
import Testing

/// The compiler and the programs in the kernel decide as the documentation says.
///
/// `MARTLET_PROPERTY_SEEDS` asks for more worlds than the 20,000 questions that are always put; `MARTLET_PROPERTY_SEED`
/// for one world again.
@Suite(.enabled(if: geteuid() == 0, "needs root"), .serialized) struct OracleTests {
  static let questionsPerWorld = 100

  static let seeds: Range<Int> = {
    let environment = ProcessInfo.processInfo.environment
    if let one = environment["MARTLET_PROPERTY_SEED"].flatMap({ Int($0) }) { return one..<one + 1 }
    return 0..<(environment["MARTLET_PROPERTY_SEEDS"].flatMap { Int($0) } ?? 250)
  }()

  @Test func `the kernel decides as the documents say`() throws {
    let kernel = try KernelUnderTest()
    var asked = 0
    var fates: [String: Int] = [:]
    for seed in OracleTests.seeds {
      var generator = WorldGenerator(seed: seed)
      let world = generator.world()
      try kernel.load(world)
      let oracle = PolicyOracle(world: world)
      for _ in 0..<OracleTests.questionsPerWorld {
        guard let question = generator.question(world), let fate = try kernel.fate(question) else { continue }
        asked += 1
        let expected = oracle.fate(question)
        fates[String("\(expected)".prefix { $0 != " " }), default: 0] += 1
        #expect(try kernel.prediction(question) == fate, "seed \(seed): \(question.text)")
        if fate != expected {
          Issue.record("\(OracleTests.counterexample(kernel, world, question, seed))")
          return
        }
      }
    }
    print("oracle: \(asked) questions in \(OracleTests.seeds.count) worlds, \(fates.sorted { $0.key < $1.key })")
    #expect(asked >= 20_000 || OracleTests.seeds.count < 250)
  }

  /// The smallest world in which the question is still answered wrongly.
  private static func counterexample(
    _ kernel: KernelUnderTest, _ world: World, _ question: Question, _ seed: Int
  ) -> String {
    func answers(_ world: World) -> (Fate, Fate)? {
      guard (try? kernel.load(world)) != nil, let fate = try? kernel.fate(question) else { return nil }
      return (fate, PolicyOracle(world: world).fate(question))
    }
    let small = Shrinker { world in answers(world).map { $0.0 != $0.1 } ?? false }.shrink(world, question)
    let (fate, expected) = answers(small) ?? (.forwarded, .forwarded)
    return """
      seed \(seed): \(question.text) is \(fate), the documentation says \(expected)
      \(small.text)
      """
  }

  // MARK: The oracle's own parts

  private static let patterns: [(pattern: String, yes: [String], no: [String])] = [
    ("/a.*", ["/a", "/ab?c"], ["/", "b/a"]), ("GET|POST", ["GET", "POST"], ["GETPOST", "get"]),
    ("/(a|b)+c?", ["/a", "/abac"], ["/", "/ac/"]), (".*\\?a=1", ["/?a=1"], ["/a=1"]), ("", [""], ["a"]),
  ]

  @Test(arguments: patterns) func `the slow matcher`(_ scenario: (pattern: String, yes: [String], no: [String])) {
    let regex = SlowRegex(scenario.pattern)
    #expect(scenario.yes.allSatisfy { regex.matches($0) })
    #expect(!scenario.no.contains { regex.matches($0) })
  }

  /// A world that differs from its original in one rule is caught, and told in its smallest form.
  @Test func `the shrinker leaves what matters`() throws {
    var generator = WorldGenerator(seed: 7)
    let world = generator.world()
    var question: Question?
    while question == nil { question = generator.question(world) }
    let asked = try #require(question)
    let small = Shrinker { world in !world.policies.isEmpty }.shrink(world, asked)
    #expect(small.policies.count == 1 && small.pods.count <= 2)
    #expect(small.policies.first == .object([:]))
  }
}
