import NodeAPI
import Policy

/// What is said of policies that are watched and not enforced.
enum AuditMode {
  /// Of `martlet status`.
  static func component(
    isNodeWide: Bool, audited: Int, of endpoints: Int, policies: Int
  ) -> AgentStatus.Component {
    var parts: [String] = []
    if isNodeWide {
      parts.append("the whole node: policies are watched, not enforced (--audit)")
    } else if audited > 0 {
      parts.append("\(audited) of \(endpoints) endpoints: their policies are watched, not enforced")
    }
    if policies > 0 {
      parts.append("\(policies) \(policies == 1 ? "policy is" : "policies are") watched by annotation, not enforced")
    }
    return AgentStatus.Component(
      name: "Audit mode", ok: true, message: parts.isEmpty ? "Disabled" : parts.joined(separator: "; "))
  }

  /// Of a policy that is only watched.
  static let watching =
    "only watched (\(PolicyMode.annotation): \(PolicyMode.audit.rawValue)): what it would deny is told and let through"

  /// Of a policy some of whose endpoints are in audit mode; a sentence has room for some.
  static func watched(on pods: [String]) -> String {
    "watched only on \(pods.prefix(3).joined(separator: ", "))" + (pods.count > 3 ? " and \(pods.count - 3) more" : "")
  }

  /// Of a policy on a node that is in audit mode as a whole.
  static func issue(node: String) -> PolicyIssue {
    PolicyIssue(
      path: "spec", message: "what it selects on node \(node) is audited, not enforced (--audit)", isMissing: true)
  }

  /// What is said of a policy beside what is wrong with it.
  static func notes(_ status: PolicyObjectStatus) -> [String] {
    if status.isAudited { return [watching] }
    return status.watchedOn.isEmpty ? [] : [watched(on: status.watchedOn)]
  }
}

extension PolicyStatus.State {
  init(_ status: PolicyObjectStatus) {
    switch status.state {
    case .rejected: self = .rejected
    case .accepted, .partial: self = status.isAudited ? .audited : status.state == .accepted ? .accepted : .partly
    }
  }
}
