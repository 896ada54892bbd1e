/// Every number of a range of identities is in use.
public struct IdentitiesExhausted: Error, Hashable, Sendable, CustomStringConvertible {
  public let range: ClosedRange<UInt32>
  public var description: String { "all identities from \(range.lowerBound) to \(range.upperBound) are in use" }
}

/// Gives numbers 256-65535 to sets of pod labels: the number that is persisted, else the smallest free one.
public struct IdentityAllocator: Sendable {
  private var allocator: NumberAllocator<IdentityLabels>

  /// Assignments that clash (one set of labels under two numbers) keep the smallest number; so do all who read them.
  public init(assignments: [NumericIdentity: IdentityLabels] = [:]) {
    allocator = NumberAllocator(range: NumericIdentity.clusterRange, order: .smallest)
    for (identity, labels) in assignments.sorted(by: { $0.key < $1.key }) {
      allocator.adopt(labels, identity.rawValue)
    }
  }

  public var assignments: [NumericIdentity: IdentityLabels] {
    Dictionary(uniqueKeysWithValues: allocator.keys.map { (NumericIdentity(rawValue: $0.key), $0.value) })
  }

  public subscript(labels: IdentityLabels) -> NumericIdentity? { allocator[labels].map(NumericIdentity.init) }

  public mutating func allocate(_ labels: IdentityLabels) throws(IdentitiesExhausted) -> NumericIdentity {
    guard let number = allocator.allocate(labels) else { throw IdentitiesExhausted(range: allocator.range) }
    return NumericIdentity(rawValue: number)
  }

  public mutating func release(_ labels: IdentityLabels) { allocator.release(labels) }
}
