import Addressing
import BPF
import CMartletABI
import Identity
import KernelABI

/// A pod of this node as the kernel knows it: where to deliver, and who it is.
public struct DatapathEndpoint: Hashable, Sendable {
  public var id: UInt32
  public var addresses: [IPAddress]
  /// Of the host side of the pod's veth.
  public var interfaceIndex: UInt32
  public var identity: NumericIdentity
  public var podMAC: MACAddress
  public var hostMAC: MACAddress
  /// Its policy is judged and reported, but drops nothing.
  public var isAudit: Bool

  public init(
    id: UInt32, addresses: [IPAddress], interfaceIndex: UInt32, identity: NumericIdentity, podMAC: MACAddress,
    hostMAC: MACAddress, isAudit: Bool = false
  ) {
    self.id = id
    self.addresses = addresses
    self.interfaceIndex = interfaceIndex
    self.identity = identity
    self.podMAC = podMAC
    self.hostMAC = hostMAC
    self.isAudit = isAudit
  }

  var entry: martlet_endpoint {
    func wire(_ mac: MACAddress) -> (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) {
      let bytes = mac.bytes
      return (bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5])
    }
    return martlet_endpoint(
      ifindex: interfaceIndex, identity: identity.rawValue, id: id,
      flags: isAudit ? UInt32(MARTLET_ENDPOINT_AUDIT.rawValue) : 0, pod_mac: wire(podMAC),
      host_mac: wire(hostMAC), reserved: 0)
  }
}

/// The pods of this node by address: the map `martlet_endpoints`.
public struct EndpointMap: Sendable {
  let map: BPFMap<martlet_addr, martlet_endpoint>
  /// Where changes are told; nil for who only reads.
  var configuration: NodeConfiguration?

  /// The most addresses it can hold.
  public var capacity: Int { Int(map.info.maxEntries) }

  public func count() throws(BPFError) -> Int { try map.count() }

  /// Makes the pod reachable. Fails with E2BIG when the map is full; an address that is not in it is nobody's, so its
  /// packets are dropped.
  public func set(_ endpoint: DatapathEndpoint) throws(BPFError) {
    try configuration.changingAddresses { () throws(BPFError) in try write(endpoint) }
  }

  public func remove(_ addresses: [IPAddress]) throws(BPFError) {
    try configuration.changingAddresses { () throws(BPFError) in
      for address in addresses { try map.delete(martlet_addr(address)) }
    }
  }

  /// Makes the map hold just these endpoints.
  public func reconcile(_ endpoints: [DatapathEndpoint]) throws(BPFError) {
    let known = Set(endpoints.flatMap(\.addresses))
    try configuration.changingAddresses { () throws(BPFError) in
      // What is gone leaves first: a full map would refuse what came.
      for (key, _) in try map.entries() where !known.contains(IPAddress(key)) { try map.delete(key) }
      for endpoint in endpoints { try write(endpoint) }
    }
  }

  private func write(_ endpoint: DatapathEndpoint) throws(BPFError) {
    for address in endpoint.addresses { try map.update(martlet_addr(address), endpoint.entry) }
  }

  /// address -> (endpoint id, identity, interface index), in the order of the addresses.
  public func entries() throws(BPFError) -> [(address: IPAddress, id: UInt32, identity: UInt32, interface: UInt32)] {
    try map.entries().map { (IPAddress($0), $1.id, $1.identity, $1.ifindex) }.sorted { $0.address < $1.address }
  }
}
