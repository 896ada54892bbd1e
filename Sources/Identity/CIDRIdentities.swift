import Addressing

/// The blocks of addresses that policies name, each with an identity of its own. A block's labels name every block in
/// use that covers it, so an address inside of two of them, known to the kernel by its longest prefix, is selected by
/// both.
public struct CIDRIdentities: Sendable {
  private var allocator = NumberAllocator<CIDR>(range: NumericIdentity.blockRange, order: .cycling)
  private var uses: [CIDR: Int] = [:]
  /// The addresses outside of the cluster at which its API server is.
  private var apiServers: Set<CIDR> = []

  public init() {}

  /// Restores numbers given before, so that connections keep their peers over a restart; `releaseUnused` gives those
  /// back that no policy names any more.
  public init(assignments: [CIDR: NumericIdentity]) {
    for (cidr, identity) in assignments.sorted(by: { $0.value < $1.value }) {
      allocator.adopt(cidr, identity.rawValue)
    }
  }

  /// Starts to count uses afresh, for a new user of the numbers.
  public mutating func forgetUses() {
    uses = [:]
    apiServers = []
  }

  public mutating func releaseUnused() {
    for cidr in Array(allocator.numbers.keys) where uses[cidr] == nil { allocator.release(cidr) }
  }

  /// The blocks in use and their identities. The whole of a family has the reserved identity of that world.
  public var assignments: [CIDR: NumericIdentity] {
    Dictionary(uniqueKeysWithValues: uses.keys.compactMap { cidr in self[cidr].map { (cidr, $0) } })
  }

  public subscript(cidr: CIDR) -> NumericIdentity? {
    if cidr.length == 0 { return CIDRIdentities.world(cidr).identity }
    return allocator[cidr].map(NumericIdentity.init)
  }

  /// Counts uses. Returns the blocks whose identity came, went or changed its labels.
  public mutating func change(adding added: [CIDR], removing removed: [CIDR]) -> [CIDR] {
    var before = Set<CIDR>()
    var touched = Set<CIDR>()
    for cidr in added + removed where cidr.length > 0 {
      if touched.insert(cidr).inserted, uses[cidr] != nil { before.insert(cidr) }
    }
    for cidr in added where cidr.length > 0 { uses[cidr, default: 0] += 1 }
    for cidr in removed where cidr.length > 0 {
      guard let count = uses[cidr] else { continue }
      uses[cidr] = count > 1 ? count - 1 : nil
    }
    let flipped = touched.filter { (uses[$0] != nil) != before.contains($0) }
    for cidr in flipped.sorted() {
      if uses[cidr] == nil {
        allocator.release(cidr)
      } else {
        // Sixteen million blocks are more than the kernel's maps hold; one beyond them has no identity and is no peer.
        _ = allocator.allocate(cidr)
      }
    }
    guard !flipped.isEmpty else { return [] }
    // By the lengths of those that flipped: every block has few of them around it, however many there are.
    let lengths = Set(flipped.map(\.length))
    let inside = uses.keys.filter { cidr in
      lengths.contains { length in
        length < cidr.length && CIDR(cidr.address, length: length).map(flipped.contains) ?? false
      }
    }
    return flipped.union(inside).sorted()
  }

  /// Names the addresses at which the API server is, as long as they are outside of the cluster. Returns the blocks whose
  /// identity came, went or changed its labels.
  public mutating func setAPIServers(_ addresses: some Sequence<IPAddress>) -> [CIDR] {
    let new = Set(addresses.map { CIDR($0) })
    let old = apiServers
    guard new != old else { return [] }
    apiServers = new
    let changed = change(adding: Array(new.subtracting(old)), removing: Array(old.subtracting(new)))
    return old.symmetricDifference(new).union(changed).sorted()
  }

  /// The labels of a block in use; nil when no policy names it.
  public func labels(_ cidr: CIDR) -> IdentityLabels? {
    guard uses[cidr] != nil else { return nil }
    var labels = [SecurityLabel(source: .reserved, key: CIDRIdentities.world(cidr).name)]
    for length in 1...max(1, cidr.length) {
      if let covering = CIDR(cidr.address, length: length), uses[covering] != nil {
        labels.append(CIDRIdentities.label(covering))
      }
    }
    if apiServers.contains(cidr) {
      labels.append(SecurityLabel(source: .reserved, key: ReservedIdentity.kubeAPIServer.name))
    }
    return IdentityLabels(labels)
  }

  /// The blocks in use other than the whole of a family, sorted.
  public var blocks: [CIDR] { uses.keys.sorted() }

  /// The labels of addresses that are covered by just these blocks.
  public static func labels(isIPv4: Bool, coveredBy blocks: [CIDR]) -> [SecurityLabel] {
    let world: ReservedIdentity = isIPv4 ? .worldIPv4 : .worldIPv6
    return [SecurityLabel(source: .reserved, key: world.name)] + blocks.map(label)
  }

  /// Selects the identities of all blocks inside of `cidr`, apart from those inside of `except`.
  public static func selector(_ cidr: CIDR, except: [CIDR] = []) -> IdentitySelector {
    let base =
      cidr.length == 0
      ? IdentitySelector(having: SecurityLabel(source: .reserved, key: world(cidr).name))
      : IdentitySelector(having: label(cidr))
    return except.sorted().reduce(base) { selector, hole in
      let label = hole.length == 0 ? SecurityLabel(source: .reserved, key: world(hole).name) : label(hole)
      return selector.adding(
        IdentityRequirement(SelectorKey(source: label.source, key: label.key), .doesNotExist))
    }
  }

  /// The reserved identity of all addresses of the block's family.
  public static func world(_ cidr: CIDR) -> ReservedIdentity { cidr.isIPv4 ? .worldIPv4 : .worldIPv6 }

  private static func label(_ cidr: CIDR) -> SecurityLabel { SecurityLabel(source: .cidr, key: cidr.description) }
}
