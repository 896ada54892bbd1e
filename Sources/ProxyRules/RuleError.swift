/// Why a rule set can not be enforced: which rule, which field, what is wrong with it.
public struct RuleError: Error, Hashable, Sendable, CustomStringConvertible {
  public let kind: RuleKind
  public let ruleSetID: UInt32
  public let ruleID: UInt32
  /// The rule's place in ``RuleSet/rules``.
  public let ruleIndex: Int
  /// The field below the rule, as the policy writes it: `path`, `headers[1]`, `headerMatches[0].name`.
  public let field: String
  /// What is wrong, in lower case.
  public let message: String

  public init(
    kind: RuleKind = .http, ruleSetID: UInt32, ruleID: UInt32, ruleIndex: Int, field: String, message: String
  ) {
    self.kind = kind
    self.ruleSetID = ruleSetID
    self.ruleID = ruleID
    self.ruleIndex = ruleIndex
    self.field = field
    self.message = message
  }

  public var description: String {
    "rule \(ruleID) of rule set \(ruleSetID), \(kind.rawValue)[\(ruleIndex)].\(field): \(message)"
  }
}
