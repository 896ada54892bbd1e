import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A socket that takes queries by UDP, with the addresses that they were sent to.
public struct DNSListener: Sendable {
  public let fd: Int32
  public let address: SocketAddress

  /// Opens a listener. It belongs to the engine that it is given to.
  ///
  /// - Parameters:
  ///   - isTransparent: take datagrams to addresses that are not the machine's (IP_TRANSPARENT, needs CAP_NET_ADMIN).
  ///   - mark: SO_MARK; 0 for none.
  public init(_ address: SocketAddress, isTransparent: Bool = false, mark: UInt32 = 0) throws(SocketError) {
    let isIPv4 = address.address.isIPv4
    let fd = Socket.udp(family: isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { throw SocketError("socket", errno: -fd) }
    var result: Int32 = 0
    if !isIPv4 { result = Socket.set(fd, level: Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    if result == 0 && isTransparent { result = Socket.setTransparent(fd, isIPv4: isIPv4) }
    if result == 0 && mark != 0 { result = Socket.set(fd, level: SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
    if result == 0 { result = Socket.setReceivesDestination(fd, isIPv4: isIPv4) }
    // A burst of queries waits here while answers are written.
    _ = Socket.set(fd, level: SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    if result == 0 { result = Socket.bind(fd, address) }
    guard result == 0, let bound = Socket.localAddress(fd) else {
      close(fd)
      throw SocketError("receive at \(address)", errno: -result)
    }
    self.fd = fd
    self.address = bound
  }

  /// Takes over a listener's socket that another process has opened.
  init(adopting fd: Int32, isIPv4: Bool) throws(SocketError) {
    guard Socket.option(fd, level: SOL_SOCKET, SO_TYPE) == Int32(SOCK_DGRAM.rawValue),
      let bound = Socket.localAddress(fd), bound.address.isIPv4 == isIPv4
    else { throw SocketError("take over a socket for datagrams", errno: ENOTSOCK) }
    self.fd = fd
    address = bound
  }
}

extension Socket {
  static func open(_ transport: Transport, family: Int32) -> Int32 {
    transport == .tcp ? tcp(family: family) : udp(family: family)
  }

  /// A non-blocking UDP socket that is closed on exec.
  static func udp(family: Int32) -> Int32 {
    let flags = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let fd = socket(family, flags, Int32(IPPROTO_UDP))
    return fd < 0 ? -errno : fd
  }

  /// IP_RECVORIGDSTADDR or IPV6_RECVORIGDSTADDR.
  static func setReceivesDestination(_ fd: Int32, isIPv4: Bool) -> Int32 {
    isIPv4 ? set(fd, level: Int32(IPPROTO_IP), 20, 1) : set(fd, level: Int32(IPPROTO_IPV6), 74, 1)
  }

  /// The next datagram's size, or a negated errno.
  static func receive(
    _ fd: Int32, _ buffer: UnsafeMutableRawBufferPointer, from: inout SocketAddress?, to: inout SocketAddress?
  ) -> Int {
    var storage = (sockaddr_storage(), sockaddr_storage())
    let count = clinux_receive_datagram(fd, buffer.baseAddress, buffer.count, &storage.0, &storage.1)
    guard count >= 0 else { return count }
    from = SocketAddress(storage.0)
    to = SocketAddress(storage.1)
    return count
  }

  /// Sends a datagram from any address; 0 or a negated errno.
  static func send(
    _ fd: Int32, _ bytes: UnsafeRawBufferPointer, from: SocketAddress, to: SocketAddress
  ) -> Int32 {
    from.withSockAddr { source, _ in
      to.withSockAddr { target, _ in clinux_send_datagram(fd, bytes.baseAddress, bytes.count, source, target) }
    }
  }
}
