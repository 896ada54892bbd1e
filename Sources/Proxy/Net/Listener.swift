import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A socket that takes connections.
public struct Listener: Sendable {
  public let fd: Int32
  /// Where it listens; with the port that the kernel chose when 0 was asked for.
  public let address: SocketAddress

  /// Opens a listener. It belongs to the server that it is given to.
  ///
  /// - Parameters:
  ///   - isTransparent: take connections to addresses that are not the machine's (IP_TRANSPARENT, needs CAP_NET_ADMIN).
  ///   - mark: SO_MARK of the listener, which its connections inherit; 0 for none.
  public init(_ address: SocketAddress, isTransparent: Bool = false, mark: UInt32 = 0, backlog: Int32 = 4096)
    throws(SocketError)
  {
    let isIPv4 = address.address.isIPv4
    let fd = Socket.tcp(family: isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { throw SocketError("socket", errno: -fd) }
    var result = Socket.set(fd, level: SOL_SOCKET, SO_REUSEADDR, 1)
    if result == 0 && !isIPv4 { result = Socket.set(fd, level: Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    if result == 0 && isTransparent { result = Socket.setTransparent(fd, isIPv4: isIPv4) }
    if result == 0 && mark != 0 {
      result = Socket.set(fd, level: SOL_SOCKET, SO_MARK, Int32(bitPattern: mark))
    }
    if result == 0 { result = Socket.bind(fd, address) }
    // Its connections inherit it.
    Socket.setNoDelay(fd)
    if result == 0 && listen(fd, backlog) < 0 { result = -errno }
    guard result == 0, let bound = Socket.localAddress(fd) else {
      close(fd)
      throw SocketError("listen on \(address)", errno: -result)
    }
    self.fd = fd
    self.address = bound
  }

  /// Takes over a listening socket that another process has opened.
  init(adopting fd: Int32, isIPv4: Bool) throws(SocketError) {
    guard Socket.option(fd, level: SOL_SOCKET, SO_ACCEPTCONN) == 1, let bound = Socket.localAddress(fd),
      bound.address.isIPv4 == isIPv4
    else { throw SocketError("take over a listening socket", errno: ENOTSOCK) }
    self.fd = fd
    address = bound
  }
}

extension Socket {
  static let ipv6Transparent: Int32 = 75
  static let ipv6FreeBind: Int32 = 78

  /// Lets a socket use addresses that are not the machine's.
  static func setTransparent(_ fd: Int32, isIPv4: Bool) -> Int32 {
    isIPv4
      ? set(fd, level: Int32(IPPROTO_IP), IP_TRANSPARENT, 1)
      : set(fd, level: Int32(IPPROTO_IPV6), ipv6Transparent, 1)
  }
}
