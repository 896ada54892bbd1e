import Addressing

/// The addresses and ports that Services are given.
struct ServiceNetwork: Sendable {
  /// One range of each family; the first one's family is the default.
  let clusterRanges: [CIDR]
  let nodePorts: ClosedRange<UInt16>
  /// Of any family and number; without one, load balancers are somebody else's.
  let loadBalancerRanges: [CIDR]

  init(
    clusterRanges: [CIDR], nodePorts: ClosedRange<UInt16> = 30_000...32_767, loadBalancerRanges: [CIDR] = []
  ) {
    self.clusterRanges = clusterRanges
    self.nodePorts = nodePorts
    self.loadBalancerRanges = loadBalancerRanges
  }

  /// The families of the cluster, the default first.
  var families: [String] { clusterRanges.map(ServiceNetwork.family) }

  func clusterRange(_ family: String) -> CIDR? {
    clusterRanges.first { ServiceNetwork.family($0) == family }
  }

  /// The address of the API server's own Service.
  var first: IPAddress? { clusterRanges.first?.address.advanced(by: 1) }

  static func family(_ block: CIDR) -> String { block.isIPv4 ? "IPv4" : "IPv6" }
  static func family(_ address: IPAddress) -> String { address.isIPv4 ? "IPv4" : "IPv6" }

  /// Whether a Service may have the address: neither the network's own nor the last of an IPv4 block, which is for
  /// broadcasts.
  static func isUsable(_ address: IPAddress, in block: CIDR) -> Bool {
    guard block.contains(address), address != block.address else { return false }
    return !block.isIPv4 || address != block.address.advanced(by: size(block) - 1)
  }

  /// How many addresses a block has, as far as anybody will search.
  static func size(_ block: CIDR) -> UInt64 { 1 << UInt64(min(128 - block.mappedLength, 48)) }
}

/// Finds free numbers as the API server of Kubernetes does: anywhere in the upper part, so that the lower one stays for
/// those who ask for a number, and there only when the rest is full.
enum FreeNumber {
  /// A free offset below `count`; nil when there is none. `reserved` offsets come last.
  static func pick(count: UInt64, reserved: UInt64, isFree: (UInt64) -> Bool) -> UInt64? {
    let reserved = min(reserved, count)
    return search(reserved..<count, isFree) ?? search(0..<reserved, isFree)
  }

  private static func search(_ range: Range<UInt64>, _ isFree: (UInt64) -> Bool) -> UInt64? {
    guard !range.isEmpty else { return nil }
    let start = UInt64.random(in: range)
    // Nobody has as many Services; a search of all of an IPv6 block would not end.
    let limit = min(UInt64(range.count), 1 << 20)
    var offset = start
    for _ in 0..<limit {
      if isFree(offset) { return offset }
      offset = offset + 1 == range.upperBound ? range.lowerBound : offset + 1
    }
    return nil
  }

  /// How many of a range of addresses are kept for those who ask (Kubernetes, "Service ClusterIP allocation").
  static func reservedAddresses(of count: UInt64) -> UInt64 { min(max(16, count / 16), 256) }
  /// The same of node ports.
  static func reservedPorts(of count: UInt64) -> UInt64 { count < 16 ? 0 : min(max(16, count / 32), 128) }
}
