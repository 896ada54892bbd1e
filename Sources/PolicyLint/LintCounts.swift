/// How many objects a linter has read.
public struct LintCounts: Hashable, Sendable, CustomStringConvertible {
  public var policies = 0
  /// What policies can refer to.
  public var referred = 0
  /// Of other kinds, which nothing here looks at, by kind.
  public var skipped: [String: Int] = [:]

  public init() {}

  /// `2 policies, 1 object that policies refer to, 3 skipped (2 Deployment, 1 Ingress)`
  public var description: String {
    var parts = ["\(policies) \(policies == 1 ? "policy" : "policies")"]
    if referred > 0 { parts.append("\(referred) \(referred == 1 ? "object" : "objects") that policies refer to") }
    if !skipped.isEmpty {
      let kinds = skipped.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key.isEmpty ? "without kind" : $0.key)" }
      parts.append("\(skipped.values.reduce(0, +)) skipped (\(kinds.joined(separator: ", ")))")
    }
    return parts.joined(separator: ", ")
  }
}
