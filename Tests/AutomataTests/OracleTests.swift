import Automata
import Foundation
import Testing

/// Random patterns and texts, judged by google-re2 and by us.
@Suite struct OracleTests {
  /// How many pairs must be compared, and how many are asked for: a few patterns are too large.
  static let pairs = 100_000
  static let asked = 104_000

  @Test func agreesWithRE2() throws {
    let python: String
    switch OracleProcess.availability() {
    case .python(let found): python = found
    case .missing(let why):
      print("SKIP agreesWithRE2: \(why)")
      return
    }
    let seed = ProcessInfo.processInfo.environment["MARTLET_ORACLE_SEED"].flatMap { Int($0) } ?? 1
    var comparison = Comparison()
    try comparison.run(try OracleProcess.answers(python, seed: seed, pairs: OracleTests.asked))
    print(
      "agreesWithRE2: seed \(seed), \(comparison.pairs) pairs of \(comparison.patterns) patterns compared,",
      "\(comparison.refused) refused patterns, \(comparison.tooLarge) left out as too large")
    #expect(comparison.pairs >= OracleTests.pairs)
    #expect(comparison.disagreements == [])
  }
}

private struct Comparison {
  var pairs = 0
  var patterns = 0
  var refused = 0
  var tooLarge = 0
  /// The first few, as sentences.
  var disagreements: [String] = []

  /// Keeps the test quick; random patterns are often absurd.
  private static let limits = DFALimits(maximumStates: 1_000)

  private var lines = 0
  private var pattern = ""
  private var automata: (full: DFA, partial: DFA)?

  mutating func run(_ output: [UInt8]) throws {
    var isComplete = false
    for line in output.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: " "))
      switch fields[0].first {
      case UInt8(ascii: "p"): accept(String(decoding: Comparison.bytes(fields[1]), as: UTF8.self))
      case UInt8(ascii: "e"): refuse(String(decoding: Comparison.bytes(fields[1]), as: UTF8.self))
      case UInt8(ascii: "i"):
        compare(
          Comparison.bytes(fields[1]), full: fields[2].first == UInt8(ascii: "1"),
          partial: fields[3].first == UInt8(ascii: "1"))
      default: isComplete = String(decoding: fields[1], as: UTF8.self) == String(lines)
      }
    }
    guard isComplete else { throw OracleProcess.Failure(description: "the oracle's output is not complete") }
  }

  private mutating func accept(_ pattern: String) {
    patterns += 1
    self.pattern = pattern
    automata = nil
    do {
      let regex = try Regex(parsing: pattern)
      automata = (
        try DFA(regex, limits: Comparison.limits), try DFA(regex, matching: .partial, limits: Comparison.limits)
      )
    } catch is DFATooLargeError {
      tooLarge += 1
    } catch {
      note("RE2 accepts, we do not: \(error)")
    }
  }

  private mutating func refuse(_ pattern: String) {
    refused += 1
    if (try? Regex(parsing: pattern)) != nil { note("RE2 refuses, we accept \"\(pattern)\"") }
  }

  private mutating func compare(_ text: [UInt8], full: Bool, partial: Bool) {
    lines += 1
    guard let automata else { return }
    pairs += 1
    if automata.full.matchesFully(text) != full {
      note("\(pattern.debugDescription) on \(text): RE2's full match is \(full)")
    }
    if automata.partial.matchesFully(text) != partial {
      note("\(pattern.debugDescription) on \(text): RE2's search is \(partial)")
    }
  }

  private mutating func note(_ disagreement: String) {
    if disagreements.count < 20 { disagreements.append(disagreement) }
  }

  private static func bytes(_ hexadecimal: ArraySlice<UInt8>) -> [UInt8] {
    guard hexadecimal.count > 1 else { return [] }
    var result: [UInt8] = []
    result.reserveCapacity(hexadecimal.count / 2)
    var high: UInt8?
    for digit in hexadecimal {
      let value = digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
      if let first = high {
        result.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    return result
  }
}
