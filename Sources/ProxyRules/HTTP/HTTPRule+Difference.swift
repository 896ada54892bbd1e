import Automata

extension HTTPRule {
  /// What keeps this rule from allowing a request, field by field, for people to read: `path is "/a", not /b/.*`. Empty
  /// when it allows it.
  public func differences(from request: HTTPRequestDescription) throws(RuleError) -> [String] {
    let rule = try ParsedRule(self, RulePlace(ruleSetID: 0, ruleID: id, index: 0))
    var found: [String] = []
    let fields: [(String, Regex?, String?, String?)] = [
      ("method", rule.method, method, request.method), ("path", rule.path, path, request.path),
      ("host", rule.host, host, request.host),
    ]
    for (name, regex, pattern, value) in fields {
      guard let regex, let pattern else { continue }
      let dfa: DFA
      do throws(DFATooLargeError) {
        dfa = try DFA(regex)
      } catch {
        throw rule.place.error(name, error.description)
      }
      if let value, dfa.matchesFully(value) { continue }
      found.append(value.map { "\(name) is \"\($0)\", not \(pattern)" } ?? "\(name) is absent, not \(pattern)")
    }
    request.withFacts { facts in
      for condition in rule.required where !condition.holds(for: facts.headers) {
        let header = String(decoding: condition.name, as: UTF8.self)
        found.append(
          condition.value.map { "header \(header) is not \"\(String(decoding: $0, as: UTF8.self))\"" }
            ?? "header \(header) is absent")
      }
    }
    return found
  }
}
