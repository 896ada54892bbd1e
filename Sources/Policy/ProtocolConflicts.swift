import Identity
import KubernetesAPI
import ProxyRules

/// A list of rules that can not bind some traffic, because rules of another protocol about it come first: one connection
/// is read as one protocol.
struct ProtocolConflict: Hashable, Sendable {
  /// The lists, as in ``PolicyCompiler/ruleLists``.
  let left: Int
  let winner: Int
}

/// Where a list of rules is written.
struct RuleListOrigin: Hashable, Sendable {
  let object: ObjectKey
  /// The first of its rules.
  let path: String
}

extension PolicyCompiler {
  /// The lists of a ruling that are left out because the first is of another protocol.
  func conflicts(_ lists: [Int]) -> [ProtocolConflict] {
    guard lists.count > 1, let winner = lists.first, let kind = ruleLists[winner]?.kind else { return [] }
    return lists.dropFirst().filter { ruleLists[$0].map { $0.kind != kind } ?? false }.map {
      ProtocolConflict(left: $0, winner: winner)
    }
  }

  /// Makes the status of each object say which of its rules others keep from binding.
  mutating func reportConflicts(_ change: inout PolicyChange) {
    var issues: [ObjectKey: Set<PolicyIssue>] = [:]
    for subject in subjects.values where !subject.conflicts.isEmpty {
      for conflict in subject.conflicts.values.joined() {
        guard let left = listOrigins[conflict.left], let winner = listOrigins[conflict.winner] else { continue }
        let other = winner.object == left.object ? winner.path : "\(winner.object) \(winner.path)"
        issues[left.object, default: []].insert(
          PolicyIssue(
            path: left.path,
            message: "\(other) reads the same port of the same peer as another protocol; "
              + "where both apply, this allows nothing"))
      }
    }
    for key in conflicted.union(issues.keys) {
      guard let own = ownStatus[key] else { continue }
      let more = (issues[key] ?? []).sorted { ($0.path, $0.message) < ($1.path, $1.message) }
      let outcome = more.isEmpty ? own : own.adding(more)
      guard status[key] != outcome else { continue }
      status[key] = outcome
      change.status.insert(key)
    }
    conflicted = Set(issues.keys)
  }
}
