import Labels

/// Answers "which identities does this selector match" for selectors registered once, and keeps the answers true while
/// identities come and go. Both directions are indexed by label, so neither reads through all of the other side.
public struct SelectorCache: Sendable {
  /// Names a registered selector.
  public struct ID: Hashable, Comparable, Sendable {
    fileprivate let number: Int
    public static func < (left: ID, right: ID) -> Bool { left.number < right.number }
  }

  private struct Pair: Hashable {
    let key: String
    let value: String?
  }

  private struct Entry {
    let selector: IdentitySelector
    let anchors: [Pair]
    var references = 1
    var matches: Set<NumericIdentity>
  }

  public private(set) var labels: [NumericIdentity: IdentityLabels] = [:]
  /// (key, value) and (key, nil for any value), whatever the source -> identities that have it.
  private var identities: [Pair: Set<NumericIdentity>] = [:]
  /// By the number of their id; nil where a number is free.
  private var entries: [Entry?] = []
  private var free: [Int] = []
  private var ids: [IdentitySelector: ID] = [:]
  /// A selector stands below the pairs of one of its positive requirements: no identity without one of them matches.
  private var anchored: [Pair: Set<ID>] = [:]
  private var unanchored: Set<ID> = []
  /// Key -> the selectors that ask anything about it.
  private var mentions: [String: Set<ID>] = [:]

  public init() {}

  /// The identities that a registered selector matches; empty for one that is not registered.
  public func matches(_ id: ID) -> Set<NumericIdentity> { entry(id)?.matches ?? [] }

  public func selector(_ id: ID) -> IdentitySelector? { entry(id)?.selector }

  /// Whether a registered selector matches an identity.
  public func matches(_ id: ID, _ identity: NumericIdentity) -> Bool {
    // Asked most often of all: a copy of the entry would count three references up and down.
    id.number < entries.count && entries[id.number]?.matches.contains(identity) ?? false
  }

  public var selectorCount: Int { ids.count }

  /// Registers a selector, or counts one more user of an equal one.
  public mutating func register(_ selector: IdentitySelector) -> ID {
    if let id = ids[selector] {
      entries[id.number]?.references += 1
      return id
    }
    let anchors = SelectorCache.anchors(selector)
    let entry = Entry(selector: selector, anchors: anchors ?? [], matches: select(selector))
    let id: ID
    if let number = free.popLast() {
      id = ID(number: number)
      entries[number] = entry
    } else {
      id = ID(number: entries.count)
      entries.append(entry)
    }
    ids[selector] = id
    for requirement in selector.requirements { mentions[requirement.key.key, default: []].insert(id) }
    if let anchors {
      for anchor in anchors { anchored[anchor, default: []].insert(id) }
    } else {
      unanchored.insert(id)
    }
    return id
  }

  /// Forgets one user of a selector, and the selector with its last.
  public mutating func unregister(_ id: ID) {
    guard var entry = entry(id) else { return }
    entry.references -= 1
    if entry.references > 0 {
      entries[id.number] = entry
      return
    }
    entries[id.number] = nil
    free.append(id.number)
    ids[entry.selector] = nil
    unanchored.remove(id)
    for requirement in entry.selector.requirements {
      SelectorCache.remove(id, from: &mentions, at: requirement.key.key)
    }
    for anchor in entry.anchors { SelectorCache.remove(id, from: &anchored, at: anchor) }
  }

  /// Sets the labels of an identity, or removes it with nil. Returns the selectors that now match differently.
  public mutating func set(_ identity: NumericIdentity, _ new: IdentityLabels?) -> Set<ID> {
    let old = labels[identity]
    guard old != new else { return [] }
    var changed: Set<ID> = []
    for id in candidates(old, new) {
      guard let entry = entry(id) else { continue }
      let matched = entry.matches.contains(identity)
      let matches = new.map(entry.selector.matches) ?? false
      guard matched != matches else { continue }
      changed.insert(id)
      if matches {
        entries[id.number]?.matches.insert(identity)
      } else {
        entries[id.number]?.matches.remove(identity)
      }
    }
    for pair in SelectorCache.pairs(old) { SelectorCache.remove(identity, from: &identities, at: pair) }
    for pair in SelectorCache.pairs(new) { identities[pair, default: []].insert(identity) }
    labels[identity] = new
    return changed
  }

  /// The identities that a selector matches, without registering it.
  public func select(_ selector: IdentitySelector) -> Set<NumericIdentity> {
    var smallest: [Set<NumericIdentity>]?
    var size = Int.max
    for requirement in selector.requirements {
      guard let pairs = SelectorCache.pairs(requirement) else { continue }
      let sets = pairs.compactMap { identities[$0] }
      let count = sets.reduce(0) { $0 + $1.count }
      if count < size { (smallest, size) = (sets, count) }
    }
    var matches: Set<NumericIdentity> = []
    func consider(_ identity: NumericIdentity) {
      if let labels = labels[identity], selector.matches(labels) { matches.insert(identity) }
    }
    if let smallest {
      for set in smallest { for identity in set { consider(identity) } }
    } else {
      for identity in labels.keys { consider(identity) }
    }
    return matches
  }

  /// The registered selectors that match an identity.
  public func selectors(matching identity: NumericIdentity) -> [ID] {
    candidates(labels[identity]).filter { matches($0, identity) }
  }

  private func entry(_ id: ID) -> Entry? { id.number < entries.count ? entries[id.number] : nil }

  /// The selectors whose answer may differ between two sets of labels; one can be named twice.
  private func candidates(_ old: IdentityLabels?, _ new: IdentityLabels?) -> [ID] {
    guard let old, let new else { return candidates(old ?? new) }
    let keys = Set(Set(old.labels).symmetricDifference(new.labels).map(\.key))
    return keys.flatMap { mentions[$0] ?? [] }
  }

  /// The selectors that may match; one can be named twice.
  private func candidates(_ labels: IdentityLabels?) -> [ID] {
    guard let labels else { return [] }
    var candidates = Array(unanchored)
    for pair in SelectorCache.pairs(labels) {
      if let ids = anchored[pair] { candidates += ids }
    }
    return candidates
  }

  /// The pairs of the most telling positive requirement; nil when there is none. Nearly every selector names a
  /// namespace, so that is taken last.
  private static func anchors(_ selector: IdentitySelector) -> [Pair]? {
    func rank(_ requirement: IdentityRequirement) -> Int? {
      switch requirement.operation {
      case .in: requirement.key.isKubernetes(WellKnownLabel.namespace) ? 1 : 0
      case .exists: 2
      case .notIn, .doesNotExist: nil
      }
    }
    let ranked = selector.requirements.compactMap { requirement in rank(requirement).map { ($0, requirement) } }
    return ranked.min { $0.0 < $1.0 }.flatMap { pairs($0.1) }
  }

  private static func pairs(_ requirement: IdentityRequirement) -> [Pair]? {
    switch requirement.operation {
    case .in(let values): values.map { Pair(key: requirement.key.key, value: $0) }
    case .exists: [Pair(key: requirement.key.key, value: nil)]
    case .notIn, .doesNotExist: nil
    }
  }

  private static func pairs(_ labels: IdentityLabels?) -> [Pair] {
    (labels?.labels ?? []).flatMap { [Pair(key: $0.key, value: $0.value), Pair(key: $0.key, value: nil)] }
  }

  private static func remove<Key: Hashable, Member: Hashable>(
    _ member: Member, from index: inout [Key: Set<Member>], at key: Key
  ) {
    index[key]?.remove(member)
    if index[key]?.isEmpty == true { index[key] = nil }
  }
}
