import Addressing
import CMartletABI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Connects to a server from the client's own address, so that the server sees whom it talks to (IP_TRANSPARENT, needs
/// CAP_NET_ADMIN). The mark tells the datapath that this is the proxy's doing.
///
/// Two clients have another address there: the node's own programs, whose loopback address means nothing to others, that
/// which the node has for the server; and a pod that is its own server the one by which a pod sees itself behind a service.
public struct TransparentDialer: UpstreamDialer {
  private let mark: UInt32

  public init(mark: UInt32 = UInt32(MARTLET_MARK_FROM_PROXY)) {
    self.mark = mark
  }

  public func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32 {
    let fd = Socket.open(transport, family: server.address.isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return fd }
    var result = Socket.set(fd, level: SOL_SOCKET, SO_MARK, Int32(bitPattern: mark))
    if result == 0, let source = source(client.address, server.address) { result = bind(fd, to: source, transport) }
    if result == 0 { result = Socket.connect(fd, server) }
    guard result == 0 else {
      close(fd)
      return result
    }
    return fd
  }

  /// nil for the one that the node's routes choose.
  private func source(_ client: IPAddress, _ server: IPAddress) -> IPAddress? {
    if client.isLoopback { return server.isLoopback ? client : nil }
    guard client == server else { return client }
    return client.isIPv4
      ? IPAddress(v4: MARTLET_HAIRPIN_IPV4) : IPAddress(high: MARTLET_HAIRPIN_IPV6_HI, low: MARTLET_HAIRPIN_IPV6_LO)
  }

  private func bind(_ fd: Int32, to source: IPAddress, _ transport: Transport) -> Int32 {
    var result = Socket.setTransparent(fd, isIPv4: source.isIPv4)
    if result == 0 {
      result =
        source.isIPv4
        ? Socket.set(fd, level: Int32(IPPROTO_IP), IP_FREEBIND, 1)
        : Socket.set(fd, level: Int32(IPPROTO_IPV6), Socket.ipv6FreeBind, 1)
    }
    // Chosen at connect(2), a port is only taken for this server, not for all of them.
    if result == 0 && transport == .tcp {
      result = Socket.set(fd, level: Int32(IPPROTO_IP), Socket.bindAddressNoPort, 1)
    }
    return result == 0 ? Socket.bind(fd, SocketAddress(source, port: 0)) : result
  }
}

extension Socket {
  /// IP_BIND_ADDRESS_NO_PORT, which IPv6 sockets take at the IP level too.
  static let bindAddressNoPort: Int32 = 24
}
