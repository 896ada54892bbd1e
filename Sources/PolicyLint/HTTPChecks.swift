import Automata
import KubernetesAPI

extension Report {
  mutating func checkHTTP(_ index: Int) {
    for port in objects[index].rules.flatMap(\.trafficRules).flatMap({ $0.toPorts ?? [] }) {
      for match in port.rules?.http ?? [] {
        checkMethod(match, index)
        checkPath(match, index)
        checkHost(match, port, index)
      }
    }
  }

  private mutating func checkMethod(_ match: HTTPMatch, _ index: Int) {
    guard let method = match.method, let dfa = Languages.dfa(method) else { return }
    let field = match.fieldPath(of: "method")
    if !dfa.overlaps(Languages.methods) {
      warn(.neverMatches, index, field, "no request has such a method: the rule allows nothing")
    } else if !dfa.overlaps(Languages.standardMethods) {
      let upper = Languages.dfa(method.uppercased())?.overlaps(Languages.standardMethods) ?? false
      let hint = upper ? "; methods are compared with their case: \(method.uppercased())?" : ""
      warn(.neverMatches, index, field, "matches none of the methods that HTTP knows\(hint)")
    }
  }

  private mutating func checkPath(_ match: HTTPMatch, _ index: Int) {
    guard let path = match.path, let dfa = Languages.dfa(path) else { return }
    let field = match.fieldPath(of: "path")
    if dfa.isEmpty {
      return warn(.neverMatches, index, field, "matches no text at all: the rule allows nothing")
    }
    if !dfa.overlaps(Languages.paths) {
      return warn(
        .neverMatches, index, field, "no path is like this: each begins with a slash and has no blanks")
    }
    checkDots(path, index, field)
    if PatternLook.isGlob(path) {
      return warn(
        .pattern, index, field, "a star repeats what is before it: `/*` is any number of slashes, `/.*` anything below")
    }
    if PatternLook.hasPlainQuery(path) {
      return warn(
        .pattern, index, field, "a question mark makes the character before it optional; one that is sent is `\\?`")
    }
    if PatternLook.isPrefix(path) {
      warn(.pattern, index, field, "the whole path must match, not only its beginning: append `.*` if more may follow")
    } else if !dfa.overlaps(Languages.withQuery) {
      warn(
        .queryString, index, field,
        "refuses every request with a query string, which is part of the path: append `(\\?.*)?` to allow it")
    }
  }

  private mutating func checkHost(_ match: HTTPMatch, _ port: PortRule, _ index: Int) {
    guard let host = match.host, let dfa = Languages.dfa(host) else { return }
    let field = match.fieldPath(of: "host")
    if !dfa.overlaps(Languages.hosts) {
      return warn(.neverMatches, index, field, "no request has such a host: the rule allows nothing")
    }
    checkDots(host, index, field)
    for port in port.ports {
      guard case .number(let number) = port.port, number > 0, port.endPort == nil, ![80, 443].contains(number),
        !dfa.overlaps(Languages.hosts(withPort: number))
      else { continue }
      warn(
        .pattern, index, field,
        "clients that connect to port \(number) name it in the host: append `(:\(number))?` to match them")
    }
  }

  private mutating func checkDots(_ pattern: String, _ index: Int, _ field: String) {
    let dots = PatternLook.unescapedDots(pattern)
    guard !dots.isEmpty else { return }
    let (escaped, accident) = PatternLook.escaping(dots, in: pattern)
    warn(
      .pattern, index, field,
      "a dot is any character: this matches `\(accident)` too; a dot alone is `\\.`: `\(escaped)`")
  }
}

extension DFA {
  fileprivate func overlaps(_ other: DFA?) -> Bool { other.map { commonMatch(with: $0) != nil } ?? true }
}
