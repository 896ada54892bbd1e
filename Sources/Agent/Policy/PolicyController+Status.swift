import Identity
import KubernetesAPI
import Policy

extension PolicyController {
  /// The status of each policy, what the kernel made of it included.
  var status: [ObjectKey: PolicyObjectStatus] {
    var status = compiler.status
    for (object, issues) in refused { status[object] = outcome(of: object, issues) }
    for (object, pods) in watched { status[object]?.watchedOn = pods }
    return status.merging(audited.status) { $1 }
  }

  /// Why each subject that the kernel has no policy of is denied.
  var problems: [NumericIdentity: String] { refusals.problems }

  /// Blocks of addresses that the kernel has no entry for.
  var missingBlocks: Int { refusals.missingBlocks }

  /// Entries in the largest policy of a subject.
  var largestPolicy: Int { compiler.maps.values.map(\.count).max() ?? 0 }

  /// The subjects of this node that each policy selects.
  var subjects: [ObjectKey: Set<NumericIdentity>] {
    var subjects: [ObjectKey: Set<NumericIdentity>] = [:]
    for identity in compiler.maps.keys {
      for object in compiler.policies(selecting: identity).union(audited.policies(selecting: identity)) {
        subjects[object, default: []].insert(identity)
      }
    }
    return subjects
  }

  /// To be called with all pods that are in audit mode, by their identities, when that changes.
  func setWatchedPods(_ pods: [NumericIdentity: [String]]) {
    watchedPods = pods
    report(statusOfChanged([:]))
  }

  /// The pods on which each policy is only watched, as they are in audit mode; where the whole node is, its status says so.
  private var watched: [ObjectKey: [String]] {
    guard auditedNode == nil else { return [:] }
    var watched: [ObjectKey: [String]] = [:]
    for (identity, pods) in watchedPods {
      for object in compiler.policies(selecting: identity) { watched[object, default: []] += pods }
    }
    return watched.mapValues { $0.sorted() }
  }

  /// What to report after a change of `status`: with what the kernel refuses now, and what it no longer does.
  func statusOfChanged(_ status: [ObjectKey: PolicyObjectStatus]) -> [ObjectKey: PolicyObjectStatus] {
    let refused = refused
    var report = status
    for object in refusals.told.keys where refused[object] == nil { report[object] = compiler.status[object] }
    for (object, issues) in refused where report[object] != nil || refusals.told[object] != issues {
      report[object] = outcome(of: object, issues)
    }
    refusals.told = refused
    let watched = watched
    for object in Set(watched.keys).union(toldWatched.keys)
    where watched[object] != toldWatched[object] && report[object] == nil {
      report[object] = refused[object].map { outcome(of: object, $0) } ?? compiler.status[object]
    }
    toldWatched = watched
    for (object, pods) in watched { report[object]?.watchedOn = pods }
    return report
  }

  /// The objects that select a subject which the kernel has no policy of, or whose traffic nobody sees.
  var refused: [ObjectKey: [PolicyIssue]] {
    var issues: [ObjectKey: [PolicyIssue]] = [:]
    let host = ReservedIdentity.host.identity
    if devices.isEmpty, compiler.maps[host] != nil {
      let issue = PolicyIssue(
        path: "spec.nodeSelector",
        message: "only the node's traffic with its own pods is judged, as no device is named with --device",
        isMissing: true)
      for object in compiler.policies(selecting: host) { issues[object] = [issue] }
    }
    if let auditedNode {
      for identity in compiler.maps.keys {
        for object in compiler.policies(selecting: identity)
        where issues[object]?.last != AuditMode.issue(node: auditedNode) {
          issues[object, default: []].append(AuditMode.issue(node: auditedNode))
        }
      }
    }
    for (identity, problem) in refusals.problems.sorted(by: { $0.key < $1.key }) {
      let except = identity == host ? " but that of its loopback, and of devices that nobody named," : ""
      let issue = PolicyIssue(path: "spec", message: "identity \(identity) is denied all traffic\(except): \(problem)")
      for object in compiler.policies(selecting: identity) { issues[object, default: []].append(issue) }
    }
    return issues
  }

  private func outcome(of object: ObjectKey, _ issues: [PolicyIssue]) -> PolicyObjectStatus {
    (compiler.status[object] ?? PolicyObjectStatus(state: .accepted)).adding(issues)
  }
}
