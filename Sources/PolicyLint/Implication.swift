import Addressing
import Identity
import Labels
import Policy

/// Whether one thing is within another, told from how both are written: true is certain, false may only mean that it can
/// not be seen.
enum Implication {
  /// Whether everything that `narrow` selects is selected by `wide`.
  static func holds(_ narrow: IdentitySelector, _ wide: IdentitySelector) -> Bool {
    wide.requirements.allSatisfy { wanted in
      narrow.requirements.contains { implies($0, wanted) } || excludesHole(narrow, wanted)
    }
  }

  static func holds(_ narrow: PolicyPeers, _ wide: PolicyPeers) -> Bool {
    switch (narrow, wide) {
    case (_, .any): true
    case (.any, .selected): false
    case (.selected(let some, _), .selected(let others, _)):
      !some.isEmpty && some.allSatisfy { selector in others.contains { holds(selector, $0) } }
    }
  }

  static func holds(_ narrow: PolicyTerm.Ports, _ wide: PolicyTerm.Ports) -> Bool {
    switch (narrow, wide) {
    case (_, .all): true
    case (.range(let some), .range(let others)):
      others.lowerBound <= some.lowerBound && some.upperBound <= others.upperBound
    case (.named(let name), .named(let other)): name == other
    default: false
    }
  }

  private static func implies(_ given: IdentityRequirement, _ wanted: IdentityRequirement) -> Bool {
    if let mine = block(given), let outer = block(wanted) { return outer.isIPv4 == mine.isIPv4 && outer.contains(mine) }
    guard sameKey(given.key, wanted.key) else { return false }
    return switch (given.operation, wanted.operation) {
    case (.in(let some), .in(let others)): some.isSubset(of: others)
    case (.in, .exists), (.exists, .exists), (.doesNotExist, .doesNotExist), (.doesNotExist, .notIn): true
    case (.in(let some), .notIn(let others)): some.isDisjoint(with: others)
    case (.notIn(let some), .notIn(let others)): others.isSubset(of: some)
    default: false
    }
  }

  /// Pods only have labels of the source `k8s`, so a key without a source means the same one.
  private static func sameKey(_ left: SelectorKey, _ right: SelectorKey) -> Bool {
    left.key == right.key && (left.source ?? .kubernetes) == (right.source ?? .kubernetes)
  }

  /// The block of addresses that a positive requirement asks for.
  private static func block(_ requirement: IdentityRequirement) -> CIDR? {
    guard case .in = requirement.operation else { return nil }
    return block(requirement.key)
  }

  private static func block(_ key: SelectorKey) -> CIDR? {
    if key.source == .cidr { return CIDR(key.key) }
    guard key.source == .reserved else { return nil }
    return switch key.key {
    case ReservedIdentity.worldIPv4.name: CIDR("0.0.0.0/0")
    case ReservedIdentity.worldIPv6.name: CIDR("::/0")
    default: nil
    }
  }

  /// Whether `wanted` is an exception that does not touch what `narrow` selects.
  private static func excludesHole(_ narrow: IdentitySelector, _ wanted: IdentityRequirement) -> Bool {
    guard case .doesNotExist = wanted.operation, let hole = block(wanted.key) else { return false }
    return narrow.requirements.contains { requirement in
      if let base = block(requirement) {
        return base.isIPv4 != hole.isIPv4 || !(base.contains(hole) || hole.contains(base))
      }
      guard case .doesNotExist = requirement.operation, let larger = block(requirement.key) else { return false }
      return larger.isIPv4 == hole.isIPv4 && larger.contains(hole)
    }
  }
}
