import Identity
import KubernetesAPI

extension PolicyCompiler {
  /// The policies that select a subject, also those that only deny by default and so stand in no entry of its map.
  public func policies(selecting subject: NumericIdentity) -> Set<ObjectKey> {
    Set((subjects[subject]?.policies ?? []).compactMap { policies[$0]?.key })
  }

  /// The policies by which a subject is denied, in a direction, what no rule allows; by their keys.
  public func policies(closing subject: NumericIdentity, _ direction: Direction) -> [ObjectKey] {
    (subjects[subject]?.policies ?? []).compactMap { policies[$0] }.filter { policy in
      policy.sections.contains { $0.defaultDeny.contains(direction) && selectors.matches($0.subject, subject) }
    }.map(\.key).sorted()
  }

  /// The policies that narrow the peers which others about a subject allow.
  func policies(narrowing subject: NumericIdentity) -> Set<ObjectKey> {
    Set((subjects[subject]?.policies ?? []).intersection(requiringPolicies).compactMap { policies[$0]?.key })
  }

  /// The subjects for which the policies that select them may have changed since the last call.
  public mutating func takeReselected() -> Set<NumericIdentity> {
    defer { reselected = [] }
    return reselected
  }
}
