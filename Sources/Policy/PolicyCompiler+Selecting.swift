import Identity
import KubernetesAPI

extension PolicyCompiler {
  /// The policies that select a subject, also those that only deny by default and so stand in no entry of its map.
  public func policies(selecting subject: NumericIdentity) -> Set<ObjectKey> {
    Set((subjects[subject]?.policies ?? []).compactMap { policies[$0]?.key })
  }
}
