extension PolicyDelta {
  public var isEmpty: Bool {
    changedIdentities.isEmpty && removedIdentities.isEmpty && addedSubjects.isEmpty && removedSubjects.isEmpty
      && changedPolicies.isEmpty && removedPolicies.isEmpty && nodes == nil
  }

  /// Makes this the change that has the effect of itself and then `later`.
  public mutating func merge(_ later: PolicyDelta) {
    for identity in later.removedIdentities { changedIdentities[identity] = nil }
    removedIdentities.formUnion(later.removedIdentities)
    changedIdentities.merge(later.changedIdentities) { $1 }
    addedSubjects = addedSubjects.subtracting(later.removedSubjects).union(later.addedSubjects)
    removedSubjects = removedSubjects.union(later.removedSubjects).subtracting(later.addedSubjects)
    let replaced = later.removedPolicies.union(later.changedPolicies.map(\.key))
    if !replaced.isEmpty { changedPolicies.removeAll { replaced.contains($0.key) } }
    changedPolicies += later.changedPolicies
    removedPolicies.formUnion(later.removedPolicies)
    names.merge(later.names) { $1 }
    nodes = later.nodes ?? nodes
  }
}
