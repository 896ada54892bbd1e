import Automata

/// Consecutive rules of a set whose patterns share automata. A class, because copying the value for each request would
/// retain and release each of its many arrays.
final class RuleChunk: Sendable {
  private struct Conditions: Sendable {
    let ruleID: UInt32
    /// All must hold.
    let required: [HeaderCondition]
    /// Those that do not hold have a consequence, but the rule matches.
    let wished: [HeaderCondition]
  }

  private let method: FieldMatcher
  private let path: FieldMatcher
  private let host: FieldMatcher
  private let rules: [Conditions]

  /// Many patterns are worth one automaton only as long as that is built quickly and stays in the cache; one pattern may
  /// have what ``DFALimits/standard`` allows.
  private static let sharedLimits = DFALimits(maximumStates: 4_000, maximumSetEntries: 500_000)

  static func compile(_ set: HTTPRuleSet) throws(RuleError) -> [RuleChunk] {
    var parsed: [ParsedRule] = []
    for (index, rule) in set.rules.enumerated() {
      parsed.append(try ParsedRule(rule, RulePlace(ruleSetID: set.id, ruleID: rule.id, index: index)))
    }
    return parsed.isEmpty ? [] : try compile(parsed[...])
  }

  private static func compile(_ rules: ArraySlice<ParsedRule>) throws(RuleError) -> [RuleChunk] {
    do throws(RuleError) {
      return [try RuleChunk(rules, rules.count > 1 ? sharedLimits : .standard)]
    } catch {
      guard rules.count > 1 else { throw error }
      let middle = rules.startIndex + rules.count / 2
      return try compile(rules[..<middle]) + compile(rules[middle...])
    }
  }

  private init(_ parsed: ArraySlice<ParsedRule>, _ limits: DFALimits) throws(RuleError) {
    func matcher(_ field: String, _ regex: (ParsedRule) -> Regex?) throws(RuleError) -> FieldMatcher {
      do throws(DFATooLargeError) {
        return try FieldMatcher(parsed.map(regex), limits)
      } catch {
        // With several rules the caller tries fewer, so the first stands for the only one.
        throw parsed[parsed.startIndex].place.error(field, error.description)
      }
    }
    method = try matcher("method", \.method)
    path = try matcher("path", \.path)
    host = try matcher("host", \.host)
    rules = parsed.map { Conditions(ruleID: $0.place.ruleID, required: $0.required, wished: $0.wished) }
  }

  func decide(_ request: HTTPRequestFacts, _ resolved: ResolvedPath) -> HTTPDecision {
    let method = self.method.row(request.method)
    let path = self.path.row(request.path)
    let host = self.host.row(request.host)
    let otherPath =
      switch resolved {
      case .asSent: path
      case .elsewhere(let target): self.path.row(target)
      case .disputed: self.path.row(nil)
      }
    let words = self.path.words
    for word in 0..<words {
      var candidates = self.method.bits(method, word) & self.path.bits(path, word) & self.host.bits(host, word)
      if otherPath != path { candidates &= self.path.bits(otherPath, word) }
      while candidates != 0 {
        let index = word << 6 + candidates.trailingZeroBitCount
        candidates &= candidates - 1
        guard RuleChunk.hold(rules[index].required, request) else { continue }
        let isAsWished = RuleChunk.hold(rules[index].wished, request)
        let id = rules[index].ruleID
        return isAsWished ? .allow(ruleID: id) : .allowWithMismatches(ruleID: id)
      }
    }
    return .deny
  }

  private static func hold(_ conditions: [HeaderCondition], _ request: HTTPRequestFacts) -> Bool {
    for condition in conditions where !condition.holds(for: request.headers) { return false }
    return true
  }

  var cost: (automata: Int, bytes: Int) {
    [method, path, host].reduce((0, 0)) { ($0.0 + ($1.hasAutomaton ? 1 : 0), $0.1 + $1.bytes) }
  }
}
