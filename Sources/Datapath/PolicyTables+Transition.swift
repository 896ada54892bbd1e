import BPF
import CMartletABI
import Identity
import Policy

extension PolicyTables {
  /// Has the maps that the kernel holds for `subjects` say of each identity that comes what they say of the one that its
  /// addresses have until then: to be called before an address gets it.
  ///
  /// Best effort: a map without room stays as it is, and what comes is judged by what it says of everybody.
  public func announce(_ coming: [NumericIdentity: NumericIdentity], to subjects: Set<NumericIdentity>) throws(BPFError)
  {
    guard !coming.isEmpty else { return }
    for subject in subjects {
      guard let state = try state(subject), let raw = try outer.inner(subject.rawValue) else { continue }
      let copies = BlockTransition.copies(in: state, of: coming)
      guard !copies.isEmpty, state.count + copies.count < entryCapacity else { continue }
      try BPFMap<martlet_policy_key, martlet_policy_entry>(raw).update(
        copies.map { (martlet_policy_key($0.key), martlet_policy_entry($0.value)) })
    }
  }

  /// As ``replace(_:settling:)``, with maps that say of each identity that goes what they say of the one that its addresses
  /// will have. ``forget(_:)`` takes that out again.
  public func replace(
    _ policies: [NumericIdentity: PolicyMapState], keeping going: [NumericIdentity: NumericIdentity],
    settling: Bool = true
  ) -> (refused: [NumericIdentity: any Error], kept: [NumericIdentity: [PolicyKey]]) {
    var kept: [NumericIdentity: [PolicyKey]] = [:]
    var larger = policies
    for (subject, state) in policies {
      let copies = BlockTransition.copies(in: state, of: going)
      guard !copies.isEmpty, state.count + copies.count < entryCapacity else { continue }
      larger[subject] = state.merging(copies) { $1 }
      kept[subject] = Array(copies.keys)
    }
    let refused = replace(larger, settling: settling)
    return (refused, kept.filter { refused[$0.key] == nil })
  }

  /// Takes entries out of the maps of their subjects: of identities that no address has any more.
  public func forget(_ keys: [NumericIdentity: [PolicyKey]]) throws(BPFError) {
    for (subject, keys) in keys {
      guard let raw = try outer.inner(subject.rawValue) else { continue }
      try BPFMap<martlet_policy_key, martlet_policy_entry>(raw).delete(keys.map { martlet_policy_key($0) })
    }
  }
}
