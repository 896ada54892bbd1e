import Addressing
import BPF
import CMartletABI
import KernelABI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The proxy's listeners, one for each family and transport, and their places in the datapath's socket map. Nobody
/// connects to them: the datapath gives them packets whose addresses stay those of client and server.
struct TransparentListeners: Sendable {
  let ipv4: Listener
  let ipv6: Listener
  let datagrams: [DNSListener]

  init(mark: ProxyMark = ProxyMark()) throws(SocketError) {
    let mark = mark.rawValue
    let loopback = (
      SocketAddress(IPAddress(v4: 0x7F00_0001), port: 0), SocketAddress(IPAddress(high: 0, low: 1), port: 0)
    )
    ipv4 = try Listener(loopback.0, isTransparent: true, mark: mark)
    ipv6 = try Listener(loopback.1, isTransparent: true, mark: mark)
    datagrams = [
      try DNSListener(loopback.0, isTransparent: true, mark: mark),
      try DNSListener(loopback.1, isTransparent: true, mark: mark),
    ]
  }

  /// Takes over the sockets of the proxy before, in the order of ``sockets``.
  init(adopting sockets: [Int32]) throws(SocketError) {
    guard sockets.count == 4 else { throw SocketError("take over the listening sockets", errno: EINVAL) }
    ipv4 = try Listener(adopting: sockets[0], isIPv4: true)
    ipv6 = try Listener(adopting: sockets[1], isIPv4: false)
    datagrams = [
      try DNSListener(adopting: sockets[2], isIPv4: true), try DNSListener(adopting: sockets[3], isIPv4: false),
    ]
  }

  /// TCP, then UDP; IPv4 before IPv6.
  var sockets: [Int32] { all.map(\.fd) + datagrams.map(\.fd) }

  var all: [Listener] { [ipv4, ipv6] }

  /// Puts the listeners where the datapath looks for them, in place of those of an earlier proxy.
  func register(pins: String) throws(BPFError) {
    try register(in: SocketMap.fromPin(MapName.listeners.pin(in: pins)))
    let ports: BPFMap<UInt32, UInt32> = try .fromPin(MapName.listenerPorts.pin(in: pins))
    for (index, listener) in [(MARTLET_LISTENER_IPV4, ipv4), (MARTLET_LISTENER_IPV6, ipv6)] {
      try ports.update(UInt32(index.rawValue), UInt32(listener.address.port.bigEndian))
    }
  }

  func register(in map: SocketMap) throws(BPFError) {
    try map.update(UInt32(MARTLET_LISTENER_IPV4.rawValue), socket: ipv4.fd)
    try map.update(UInt32(MARTLET_LISTENER_IPV6.rawValue), socket: ipv6.fd)
    try map.update(UInt32(MARTLET_LISTENER_UDP_IPV4.rawValue), socket: datagrams[0].fd)
    try map.update(UInt32(MARTLET_LISTENER_UDP_IPV6.rawValue), socket: datagrams[1].fd)
  }
}
