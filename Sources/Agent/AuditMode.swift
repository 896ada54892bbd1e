import NodeAPI
import Policy

/// What is said of policies that are watched and not enforced.
enum AuditMode {
  /// Of `martlet status`.
  static func component(isNodeWide: Bool, audited: Int, of endpoints: Int) -> AgentStatus.Component {
    let message =
      if isNodeWide {
        "the whole node: policies are watched, not enforced (--audit)"
      } else if audited > 0 {
        "\(audited) of \(endpoints) endpoints: their policies are watched, not enforced"
      } else {
        "Disabled"
      }
    return AgentStatus.Component(name: "Audit mode", ok: true, message: message)
  }

  /// Of a policy some of whose endpoints are in audit mode.
  static func issue(audited: Int, of selected: Int) -> PolicyIssue {
    PolicyIssue(
      path: "spec", message: "\(audited) of the \(selected) endpoints that it selects here are audited, not enforced",
      isMissing: true)
  }

  /// Of a policy on a node that is in audit mode as a whole.
  static func issue(node: String) -> PolicyIssue {
    PolicyIssue(
      path: "spec", message: "what it selects on node \(node) is audited, not enforced (--audit)", isMissing: true)
  }
}
