import Identity

/// A change of a subject's map that may be made in place: every peer that it is about comes or goes with all its entries.
///
/// Identities come and go often in a large cluster, and a map may have many thousand entries for others. In the order given
/// no packet meets more than the whole would let through: what denies is there as long as anything of its peer, and what is
/// about fewer ports as long as what is about more.
public struct PolicyMapPatch: Sendable, Equatable {
  public struct Addition: Sendable, Equatable {
    public let key: PolicyKey
    public let entry: PolicyEntry
  }

  /// To be deleted first.
  public let removals: [PolicyKey]
  /// To be written then.
  public let additions: [Addition]

  /// nil when some peer has entries before and after that differ, or entries of no single peer differ.
  ///
  /// - Parameters:
  ///   - old: all entries of the peers in question, before.
  ///   - new: all entries of the same peers, after.
  init?(from old: PolicyMapState, to new: PolicyMapState) {
    let gone = old.filter { new[$0.key] != $0.value }
    let come = new.filter { old[$0.key] != $0.value }
    let before = Set(old.keys.map(\.peer))
    let after = Set(new.keys.map(\.peer))
    guard
      gone.keys.allSatisfy({ !after.contains($0.peer) && PolicyMapPatch.isSingle($0.peer) }),
      come.keys.allSatisfy({ !before.contains($0.peer) && PolicyMapPatch.isSingle($0.peer) })
    else { return nil }
    func rank(_ key: PolicyKey, _ entry: PolicyEntry) -> (Int, Int, PolicyKey) {
      (entry.verdict == .deny ? 0 : 1, -Int(key.prefixLength), key)
    }
    removals = gone.sorted { rank($1.key, $1.value) < rank($0.key, $0.value) }.map(\.key)
    additions = come.sorted { rank($0.key, $0.value) < rank($1.key, $1.value) }
      .map { Addition(key: $0.key, entry: $0.value) }
  }

  private static func isSingle(_ peer: NumericIdentity) -> Bool {
    peer != .any && PeerClass(rawValue: peer.rawValue) == nil
  }
}
