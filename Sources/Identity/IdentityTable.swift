/// What is known of identities: number <-> labels. The reserved ones are always in it.
public struct IdentityTable: Hashable, Sendable {
  public private(set) var labels: [NumericIdentity: IdentityLabels]
  private var identities: [IdentityLabels: NumericIdentity]

  public init(_ labels: [NumericIdentity: IdentityLabels] = [:]) {
    self.labels = [:]
    self.identities = [:]
    for reserved in ReservedIdentity.allCases { insert(reserved.identity, reserved.labels) }
    for (identity, labels) in labels.sorted(by: { $0.key < $1.key }) { insert(identity, labels) }
  }

  public subscript(identity: NumericIdentity) -> IdentityLabels? { labels[identity] }

  /// The identity of exactly these labels; the smallest, if several have them.
  public func identity(of labels: IdentityLabels) -> NumericIdentity? { identities[labels] }

  public mutating func insert(_ identity: NumericIdentity, _ new: IdentityLabels) {
    remove(identity)
    labels[identity] = new
    identities[new] = min(identities[new] ?? identity, identity)
  }

  public mutating func remove(_ identity: NumericIdentity) {
    guard let old = labels.removeValue(forKey: identity), identities[old] == identity else { return }
    identities[old] = labels.lazy.filter { $0.value == old }.map(\.key).min()
  }
}
