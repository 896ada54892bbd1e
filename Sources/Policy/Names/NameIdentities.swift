public import Addressing
public import Identity
public import ProxyRules

/// The identities of addresses that were answered for names. An address belongs to every pattern in use that matches one
/// of its names; addresses with the same patterns, in the same blocks, share an identity, so that policy state grows with
/// patterns and not with addresses.
///
/// Each pattern alone has an identity before its first address comes, and an identity stays when its last one goes: the
/// proxy may give addresses identities that exist without asking anybody.
public struct NameIdentities: Sendable {
  /// What `settle` changed.
  struct Outcome {
    var added: [NumericIdentity: IdentityLabels] = [:]
    var removed: [NumericIdentity] = []
    var addresses: Set<IPAddress> = []
    /// The table for the proxy is another.
    var changesTable = false
  }

  private var allocator = NumberAllocator<NameTable.Key>(range: NumericIdentity.nameRange, order: .cycling)
  private var uses: [DNSNamePattern: Int] = [:]
  private var blocks: [CIDR] = []
  private var patterns: [DNSNamePattern] = []
  private var names: [IPAddress: Set<String>] = [:]
  /// Name -> the patterns in use that it matches.
  private var matches: [String: [DNSNamePattern]] = [:]
  private var keys: [IPAddress: NameTable.Key] = [:]
  /// Keys that were given to the compiler.
  private var known: Set<NameTable.Key> = []
  private var unsettled: Set<IPAddress> = []
  private var isTableUnsettled = false

  /// Identities without addresses are kept up to this many; then those of several patterns or inside of blocks go.
  static let maximumUnused = 4096

  public init() {}

  /// Restores the numbers of an earlier table: the kernel and the proxy may still use them.
  public init(table: NameTable) {
    for (key, number) in table.identities.sorted(by: { $0.value < $1.value }) { allocator.adopt(key, number) }
  }

  /// The labels by which `selector` is found: one for each pattern.
  public static func selector(_ pattern: DNSNamePattern) -> IdentitySelector {
    IdentitySelector(having: SecurityLabel(source: .fqdn, key: pattern.text))
  }

  /// The pattern that a selector stands for; nil when it is about something else.
  static func pattern(_ selector: IdentitySelector) -> DNSNamePattern? {
    guard let key = selector.requirements.first?.key, key.source == .fqdn else { return nil }
    return DNSNamePattern(key.key)
  }

  /// What the proxy must know.
  public var table: NameTable {
    var identities: [NameTable.Key: UInt32] = [:]
    for key in known { identities[key] = allocator[key] }
    return NameTable(patterns: patterns, blocks: patterns.isEmpty ? [] : blocks, identities: identities)
  }

  /// The addresses that have an identity by their names.
  public var assignments: [IPAddress: NumericIdentity] {
    keys.compactMapValues { allocator[$0].map(NumericIdentity.init) }
  }

  public subscript(address: IPAddress) -> NumericIdentity? {
    keys[address].flatMap { allocator[$0] }.map(NumericIdentity.init)
  }

  /// The patterns in use that a name matches.
  public func patterns(matching name: String) -> [DNSNamePattern] { patterns.filter { $0.matches(name) } }

  /// Starts afresh for a new compiler; numbers stay.
  mutating func forgetUses() {
    uses = [:]
    known = []
    keys = [:]
    patterns = []
    matches = [:]
    unsettled = Set(names.keys)
    isTableUnsettled = true
  }

  mutating func change(adding added: [DNSNamePattern], removing removed: [DNSNamePattern]) {
    guard !added.isEmpty || !removed.isEmpty else { return }
    for pattern in added { uses[pattern, default: 0] += 1 }
    for pattern in removed {
      guard let count = uses[pattern] else { continue }
      uses[pattern] = count > 1 ? count - 1 : nil
    }
    let new = uses.keys.sorted()
    guard new != patterns else { return }
    patterns = new
    matches = [:]
    unsettled.formUnion(names.keys)
    isTableUnsettled = true
  }

  /// - Parameter changed: the names of addresses, all of each; none: it has no name now.
  mutating func setNames(_ changed: [IPAddress: Set<String>]) {
    for (address, set) in changed {
      names[address] = set.isEmpty ? nil : set
      unsettled.insert(address)
    }
    if matches.count > 2 * names.count + 1024 { matches = [:] }
  }

  /// - Parameter new: nil when they are as they were.
  mutating func setBlocks(_ new: [CIDR]?) {
    guard let new, new != blocks else { return }
    blocks = new
    unsettled.formUnion(names.keys)
    isTableUnsettled = true
  }

  /// Gives addresses the identities that their names ask for.
  mutating func settle() -> Outcome {
    var outcome = Outcome()
    guard !unsettled.isEmpty || isTableUnsettled else { return outcome }
    var table = NameTable(patterns: patterns, blocks: blocks)
    table.identities = [:]
    for address in unsettled {
      let key = self.key(address, table)
      if let key { adopt(key, &outcome) }
      guard keys[address] != key else { continue }
      keys[address] = key
      outcome.addresses.insert(address)
    }
    unsettled = []
    if isTableUnsettled {
      isTableUnsettled = false
      for pattern in patterns {
        for isIPv4 in [true, false] {
          adopt(NameTable.Key(isIPv4: isIPv4, patterns: [pattern], blocks: []), &outcome)
        }
      }
      outcome.changesTable = true
      let inUse = Set(keys.values)
      let (patterns, blocks) = (Set(patterns), Set(blocks))
      for key in known where !inUse.contains(key) {
        if !key.patterns.allSatisfy(patterns.contains) || !key.blocks.allSatisfy(blocks.contains) {
          forget(key, &outcome)
        }
      }
    }
    if known.count > keys.count + 2 * patterns.count + NameIdentities.maximumUnused { forgetUnused(&outcome) }
    return outcome
  }

  private mutating func key(_ address: IPAddress, _ table: NameTable) -> NameTable.Key? {
    var found: Set<DNSNamePattern> = []
    for name in names[address] ?? [] {
      let known = matches[name] ?? patterns(matching: name)
      matches[name] = known
      found.formUnion(known)
    }
    return found.isEmpty ? nil : table.key(address, found.sorted())
  }

  private mutating func adopt(_ key: NameTable.Key, _ outcome: inout Outcome) {
    // Eight million sets of patterns are more than the kernel's maps hold; one beyond them has no identity and is no peer.
    guard !known.contains(key), let number = allocator.allocate(key) else { return }
    known.insert(key)
    let labels =
      CIDRIdentities.labels(isIPv4: key.isIPv4, coveredBy: key.blocks)
      + key.patterns.map { SecurityLabel(source: .fqdn, key: $0.text) }
    outcome.added[NumericIdentity(rawValue: number)] = IdentityLabels(labels)
    outcome.changesTable = true
  }

  private mutating func forget(_ key: NameTable.Key, _ outcome: inout Outcome) {
    known.remove(key)
    if let number = allocator[key] { outcome.removed.append(NumericIdentity(rawValue: number)) }
    allocator.release(key)
    outcome.changesTable = true
  }

  private mutating func forgetUnused(_ outcome: inout Outcome) {
    let inUse = Set(keys.values)
    for key in known where !inUse.contains(key) && (key.patterns.count > 1 || !key.blocks.isEmpty) {
      forget(key, &outcome)
    }
  }

  /// Gives back the numbers of an earlier table that nothing uses now.
  mutating func releaseUnused() {
    for key in Array(allocator.numbers.keys) where !known.contains(key) { allocator.release(key) }
  }
}
