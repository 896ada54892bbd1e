public import Addressing
public import ProxyRules

/// What names were answered with, and until when that holds. A value without a clock: times are seconds since 1970.
public struct NameCache: Sendable {
  public struct Options: Hashable, Sendable {
    /// Seconds that an answer holds at least, whatever it says of itself.
    public var minimumTimeToLive: Int64 = 0
    /// Seconds that an address stays after its answer has expired: clients use answers a little longer than they may.
    public var grace: Int64 = 60
    /// Addresses of one name; beyond them those go that expire first.
    public var maximumAddresses = 1000
    /// Beyond them those go that expire first.
    public var maximumNames = 50_000

    public init() {}
  }

  public var options: Options
  /// Name -> address -> when its last answer expires.
  public private(set) var names: [String: [IPAddress: Int64]] = [:]
  private var owners: [IPAddress: Set<String>] = [:]
  /// Addresses and names that went because there were too many.
  public private(set) var evicted = 0

  public init(options: Options = Options()) { self.options = options }

  /// The names of an address, as ``PolicyDelta/names`` has them.
  public func owners(_ address: IPAddress) -> Set<String> { owners[address] ?? [] }

  public var addressCount: Int { owners.count }

  /// Every address with its names.
  public var allOwners: [IPAddress: Set<String>] { owners }

  /// Notes an answer. Returns the addresses whose set of names changed.
  public mutating func learn(_ learned: LearnedName, now: Int64) -> Set<IPAddress> {
    // An answer of long ago may come from a journal: the minimum counts from when it was given.
    guard learned.expires + options.grace >= now else { return [] }
    let expires = max(learned.expires, now + options.minimumTimeToLive)
    var changed: Set<IPAddress> = []
    for address in learned.addresses {
      if let known = names[learned.name]?[address] {
        if known < expires { names[learned.name]?[address] = expires }
      } else {
        names[learned.name, default: [:]][address] = expires
        owners[address, default: []].insert(learned.name)
        changed.insert(address)
      }
    }
    if let addresses = names[learned.name], addresses.count > options.maximumAddresses {
      let surplus = addresses.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
        .prefix(addresses.count - options.maximumAddresses)
      for (address, _) in surplus { remove(learned.name, address, &changed) }
      evicted += surplus.count
    }
    if names.count > options.maximumNames { changed.formUnion(shrink()) }
    return changed
  }

  /// Forgets what has expired, but for addresses that are in use: those stay, with their names, until they are not.
  ///
  /// - Parameter isLiving: asked of addresses whose last name would go, all at once.
  public mutating func expire(
    now: Int64, living: (Set<IPAddress>) -> Set<IPAddress>
  ) -> Set<IPAddress> {
    var expired: [(name: String, address: IPAddress)] = []
    for (name, addresses) in names {
      for (address, expires) in addresses where expires + options.grace <= now { expired.append((name, address)) }
    }
    guard !expired.isEmpty else { return [] }
    let living = living(Set(expired.map(\.address)))
    var changed: Set<IPAddress> = []
    for (name, address) in expired where !living.contains(address) { remove(name, address, &changed) }
    return changed
  }

  private mutating func remove(_ name: String, _ address: IPAddress, _ changed: inout Set<IPAddress>) {
    names[name]?[address] = nil
    if names[name]?.isEmpty == true { names[name] = nil }
    owners[address]?.remove(name)
    if owners[address]?.isEmpty == true { owners[address] = nil }
    changed.insert(address)
  }

  /// Down to nine tenths, so that it is not done for each new name.
  private mutating func shrink() -> Set<IPAddress> {
    var changed: Set<IPAddress> = []
    let order = names.map { (name: $0.key, last: $0.value.values.max() ?? 0) }.sorted {
      ($0.last, $0.name) < ($1.last, $1.name)
    }
    for entry in order.prefix(names.count - options.maximumNames * 9 / 10) {
      evicted += 1
      for address in (names[entry.name] ?? [:]).keys { remove(entry.name, address, &changed) }
    }
    return changed
  }
}
