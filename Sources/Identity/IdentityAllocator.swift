/// Every number of a range of identities is in use.
public struct IdentitiesExhausted: Error, Hashable, Sendable, CustomStringConvertible {
  public let range: ClosedRange<UInt32>
  public var description: String { "all identities from \(range.lowerBound) to \(range.upperBound) are in use" }
}

/// The numbers 256-65535 of sets of pod labels: those that are known to be given, and those reserved while they are being
/// made known. A reserved number is nobody's yet, so nobody is told of it.
public struct IdentityAllocator: Sendable {
  /// All that are known.
  public private(set) var labels: [NumericIdentity: IdentityLabels] = [:]
  private var numbers: [IdentityLabels: NumericIdentity] = [:]
  /// All numbers of labels that have several.
  private var shared: [IdentityLabels: Set<NumericIdentity>] = [:]
  private var reserved: [IdentityLabels: NumericIdentity] = [:]
  private let range: ClosedRange<UInt32>
  /// A number is given again as late as possible: a connection or a policy may still carry it.
  private var next: UInt32

  public init(
    _ known: [NumericIdentity: IdentityLabels] = [:], range: ClosedRange<UInt32> = NumericIdentity.clusterRange
  ) {
    self.range = range
    next = range.lowerBound
    replace(known)
  }

  /// Makes these the known ones; reservations stay.
  public mutating func replace(_ known: [NumericIdentity: IdentityLabels]) {
    labels = [:]
    numbers = [:]
    shared = [:]
    for (identity, labels) in known { insert(identity, labels) }
  }

  /// The known number of just these labels; the smallest, should several have them, so that all who read them agree.
  public subscript(labels: IdentityLabels) -> NumericIdentity? { numbers[labels] }

  public subscript(identity: NumericIdentity) -> IdentityLabels? { labels[identity] }

  public mutating func insert(_ identity: NumericIdentity, _ new: IdentityLabels) {
    guard range.contains(identity.rawValue) else { return }
    remove(identity)
    labels[identity] = new
    if let known = numbers[new] {
      shared[new, default: [known]].insert(identity)
      numbers[new] = min(known, identity)
    } else {
      numbers[new] = identity
    }
    if identity.rawValue >= next, identity.rawValue < range.upperBound { next = identity.rawValue + 1 }
  }

  public mutating func remove(_ identity: NumericIdentity) {
    guard let old = labels.removeValue(forKey: identity) else { return }
    guard var others = shared[old] else {
      numbers[old] = nil
      return
    }
    others.remove(identity)
    numbers[old] = others.min()
    shared[old] = others.count > 1 ? others : nil
  }

  /// A number that is neither known nor reserved, kept until `confirm` or `release`; `preferred` if that one is free.
  public mutating func reserve(
    _ labels: IdentityLabels, preferring preferred: NumericIdentity? = nil
  ) throws(IdentitiesExhausted) -> NumericIdentity {
    let held = Set(reserved.values)
    func isFree(_ identity: NumericIdentity) -> Bool { self.labels[identity] == nil && !held.contains(identity) }
    if let preferred, range.contains(preferred.rawValue), isFree(preferred) {
      reserved[labels] = preferred
      return preferred
    }
    guard self.labels.count + held.count < range.count || range.contains(where: { isFree(.init(rawValue: $0)) }) else {
      throw IdentitiesExhausted(range: range)
    }
    while !isFree(NumericIdentity(rawValue: next)) { advance() }
    let identity = NumericIdentity(rawValue: next)
    advance()
    reserved[labels] = identity
    return identity
  }

  /// The reserved number is known now.
  public mutating func confirm(_ labels: IdentityLabels) {
    if let identity = reserved.removeValue(forKey: labels) { insert(identity, labels) }
  }

  /// The reserved number could not be given.
  public mutating func release(_ labels: IdentityLabels) { reserved[labels] = nil }

  private mutating func advance() {
    next = next >= range.upperBound ? range.lowerBound : next + 1
  }
}
