import Addressing
import BPF
import CMartletABI
import KernelABI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The datapath's maps that say who has an address.
struct JudgedMaps: Sendable {
  private let endpoints: BPFMap<martlet_addr, martlet_endpoint>
  private let ipcache: BPFMap<martlet_ipcache_key, martlet_ipcache_entry>
  private let frontends: BPFMap<martlet_frontend_key, martlet_frontend>

  /// - Parameter pins: the folder with the pinned maps.
  init(pins: String) throws(BPFError) {
    endpoints = try .fromPin(MapName.endpoints.pin(in: pins))
    ipcache = try .fromPin(MapName.ipcache.pin(in: pins))
    frontends = try .fromPin(MapName.frontends.pin(in: pins))
  }

  /// - Parameter client: a loopback address stands for the node.
  func ends(_ client: IPAddress, _ server: SocketAddress) throws(BPFError) -> JudgedEnds {
    let sender = client.isLoopback ? nil : try endpoints.lookup(martlet_addr(client))
    let receiver = try endpoints.lookup(martlet_addr(server.address))
    return JudgedEnds(
      sender: sender, receiver: receiver,
      clientIdentity: client.isLoopback ? MARTLET_IDENTITY_HOST.rawValue : try identity(client, sender),
      serverIdentity: try identity(server.address, receiver))
  }

  /// Whether a service answers there. Policy is about those behind it, whom a connection to it does not name.
  func isService(_ server: SocketAddress) throws(BPFError) -> Bool {
    func isFrontend(_ address: IPAddress) throws(BPFError) -> Bool {
      let key = martlet_frontend_key(
        address: martlet_addr(address), port: server.port.bigEndian, protocol: UInt8(IPPROTO_TCP), pad: (0, 0, 0, 0, 0))
      return try frontends.lookup(key) != nil
    }
    if try isFrontend(server.address) { return true }
    // A NodePort, which stands for every address of a node.
    let identity = try identity(server.address, nil)
    let nodes = [MARTLET_IDENTITY_HOST, MARTLET_IDENTITY_REMOTE_NODE, MARTLET_IDENTITY_KUBE_APISERVER]
    guard nodes.contains(where: { $0.rawValue == identity }) || identity >> 24 == UInt32(MARTLET_IDENTITY_NODES) else {
      return false
    }
    return try isFrontend(server.address.isIPv4 ? IPAddress(v4: 0) : IPAddress(high: 0, low: 0))
  }

  private func identity(_ address: IPAddress, _ endpoint: martlet_endpoint?) throws(BPFError) -> UInt32 {
    if let endpoint { return endpoint.identity }
    let world = address.isIPv4 ? MARTLET_IDENTITY_WORLD_IPV4 : MARTLET_IDENTITY_WORLD_IPV6
    let length = address.isIPv4 ? 32 : 128
    guard let host = CIDR(address, length: length) else { return world.rawValue }
    return try ipcache.lookup(martlet_ipcache_key(host))?.identity ?? world.rawValue
  }
}

/// Who is at the two ends of a connection; the endpoints are pods of this node.
struct JudgedEnds {
  var sender: martlet_endpoint?
  var receiver: martlet_endpoint?
  var clientIdentity: UInt32
  var serverIdentity: UInt32

  /// Whether somebody else asks for the node itself: its own policy holds for what comes in.
  var isForNode: Bool {
    sender == nil && receiver == nil && clientIdentity != MARTLET_IDENTITY_HOST.rawValue
      && serverIdentity == MARTLET_IDENTITY_HOST.rawValue
  }

  func parties(_ epoch: UInt32) -> BackendParties {
    func party(_ identity: UInt32, _ pod: martlet_endpoint?) -> BackendParties.Party {
      guard let pod else { return BackendParties.Party(identity: identity) }
      return BackendParties.Party(identity: identity, endpoint: pod.id, device: pod.ifindex, flags: pod.flags)
    }
    return BackendParties(client: party(clientIdentity, sender), server: party(serverIdentity, receiver), epoch: epoch)
  }
}
