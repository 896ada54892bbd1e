import CMartletABI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Connects to the client's original destination from the client's own address, so that the server sees whom it talks
/// to (IP_TRANSPARENT, needs CAP_NET_ADMIN). The mark tells the datapath that this is the proxy's doing.
public struct TransparentDialer: UpstreamDialer {
  private let mark: UInt32

  public init(mark: UInt32 = UInt32(MARTLET_MARK_FROM_PROXY)) {
    self.mark = mark
  }

  public func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32 {
    let isIPv4 = client.address.isIPv4
    let fd = Socket.open(transport, family: isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return fd }
    var result = Socket.setTransparent(fd, isIPv4: isIPv4)
    if result == 0 {
      result =
        isIPv4
        ? Socket.set(fd, level: Int32(IPPROTO_IP), IP_FREEBIND, 1)
        : Socket.set(fd, level: Int32(IPPROTO_IPV6), Socket.ipv6FreeBind, 1)
    }
    if result == 0 { result = Socket.set(fd, level: SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
    // Chosen at connect(2), a port is only taken for this server, not for all of them.
    if result == 0 && transport == .tcp {
      result = Socket.set(fd, level: Int32(IPPROTO_IP), Socket.bindAddressNoPort, 1)
    }
    if result == 0 { result = Socket.bind(fd, SocketAddress(client.address, port: 0)) }
    if result == 0 { result = Socket.connect(fd, server) }
    guard result == 0 else {
      close(fd)
      return result
    }
    return fd
  }
}

extension Socket {
  /// IP_BIND_ADDRESS_NO_PORT, which IPv6 sockets take at the IP level too.
  static let bindAddressNoPort: Int32 = 24
}
