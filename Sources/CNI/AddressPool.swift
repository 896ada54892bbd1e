import Addressing

/// Why no address can be had.
public enum AddressPoolError: Error, Hashable, Sendable, CustomStringConvertible {
  case tooSmall(CIDR)
  case exhausted(CIDR)
  case outside(IPAddress, [CIDR])
  case reserved(IPAddress, CIDR)
  case inUse(IPAddress)

  public var description: String {
    switch self {
    case .tooSmall(let cidr): "pod CIDR \(cidr) has no room for a pod"
    case .exhausted(let cidr): "pod CIDR \(cidr) is exhausted: all of its addresses are in use"
    case .outside(let address, let cidrs):
      "address \(address) is outside of the pod CIDRs \(cidrs.map(\.description).joined(separator: ", "))"
    case .reserved(let address, let cidr): "address \(address) is reserved in pod CIDR \(cidr)"
    case .inUse(let address): "address \(address) is in use"
    }
  }
}

/// The addresses of one pod CIDR, given out next-fit: an address that was released comes back only after all others had
/// their turn, so that peers with old state do not meet a new pod at once.
///
/// Never given out: the network address (in IPv6 the subnet-router anycast address, RFC 4291, 2.6.1), the one after it, which
/// is the gateway's, and in IPv4 the broadcast address.
///
///     var pool = try AddressPool(CIDR("10.0.0.0/24")!)
///     let address = try pool.allocate()  // 10.0.0.2
public struct AddressPool: Sendable {
  public let cidr: CIDR
  /// Offsets from the block's first address.
  private var used: Set<UInt64> = []
  private var next: UInt64
  private let usable: ClosedRange<UInt64>

  /// Blocks of more than 2^32 addresses are used up to that.
  public init(_ cidr: CIDR) throws(AddressPoolError) {
    let bits = UInt64(128 - cidr.mappedLength)
    guard bits >= 2 else { throw .tooSmall(cidr) }
    let last = (UInt64(1) << min(bits, 32)) - (cidr.isIPv4 ? 2 : 1)
    self.cidr = cidr
    usable = 2...last
    next = usable.lowerBound
  }

  /// How many addresses can be in use at once.
  public var capacity: UInt64 { usable.upperBound - usable.lowerBound + 1 }
  public var count: Int { used.count }
  /// The gateway's address: the first after the network's.
  public var gateway: IPAddress { cidr.address.advanced(by: 1) }

  public func isInUse(_ address: IPAddress) -> Bool { offset(of: address).map(used.contains) ?? false }

  public mutating func allocate() throws(AddressPoolError) -> IPAddress {
    guard UInt64(used.count) < capacity else { throw .exhausted(cidr) }
    while !used.insert(next).inserted { next = following(next) }
    defer { next = following(next) }
    return cidr.address.advanced(by: next)
  }

  /// Marks an address as in use; later ones are given out from behind it. Used to restore the state after a restart.
  public mutating func claim(_ address: IPAddress) throws(AddressPoolError) {
    guard let offset = offset(of: address) else { throw .outside(address, [cidr]) }
    guard usable.contains(offset) else { throw .reserved(address, cidr) }
    guard used.insert(offset).inserted else { throw .inUse(address) }
    next = following(offset)
  }

  /// Returns false when the address was not in use.
  @discardableResult
  public mutating func release(_ address: IPAddress) -> Bool {
    offset(of: address).map { used.remove($0) != nil } ?? false
  }

  private func following(_ offset: UInt64) -> UInt64 {
    offset == usable.upperBound ? usable.lowerBound : offset + 1
  }

  private func offset(of address: IPAddress) -> UInt64? {
    guard cidr.contains(address) else { return nil }
    let offset = address.low &- cidr.address.low
    return address.high == cidr.address.high ? offset : nil
  }
}

/// The pools of a node: at most one block of each family.
public struct HostScopeIPAM: Sendable {
  public private(set) var pools: [AddressPool]

  public init(_ cidrs: [CIDR]) throws(AddressPoolError) {
    pools = []
    for cidr in cidrs { pools.append(try AddressPool(cidr)) }
  }

  public var cidrs: [CIDR] { pools.map(\.cidr) }

  /// One address of each block, in the order of the blocks; nothing is taken when one of them is exhausted.
  public mutating func allocate() throws(AddressPoolError) -> [IPAddress] {
    var taken = pools
    var addresses: [IPAddress] = []
    for index in taken.indices { addresses.append(try taken[index].allocate()) }
    pools = taken
    return addresses
  }

  /// Marks all of the addresses as in use, or none when one of them can not be.
  public mutating func claim(_ addresses: [IPAddress]) throws(AddressPoolError) {
    var taken = pools
    for address in addresses {
      guard let index = taken.firstIndex(where: { $0.cidr.contains(address) }) else { throw .outside(address, cidrs) }
      try taken[index].claim(address)
    }
    pools = taken
  }

  public mutating func release(_ addresses: [IPAddress]) {
    for address in addresses {
      for index in pools.indices where pools[index].release(address) { break }
    }
  }
}
