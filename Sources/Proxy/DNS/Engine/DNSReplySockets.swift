import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Sockets that answer in the name of servers: one for each port and family, as a datagram's source address can be
/// chosen for each, but not its port. They are bound to addresses that nobody has (RFC 7600, the IPv4 dummy address; RFC
/// 6666, the discard prefix), lest they take what is meant for a server of this machine.
struct DNSReplySockets {
  private struct Key: Hashable {
    let isIPv4: Bool
    let port: UInt16
  }

  private var sockets: [Key: Int32] = [:]
  private let mark: UInt32
  private static let maximum = 64

  init(mark: UInt32) { self.mark = mark }

  /// 0 or a negated errno.
  mutating func send(_ bytes: UnsafeRawBufferPointer, from server: SocketAddress, to client: SocketAddress) -> Int32 {
    let fd = socket(server)
    return fd < 0 ? fd : Socket.send(fd, bytes, from: server, to: client)
  }

  private mutating func socket(_ server: SocketAddress) -> Int32 {
    let isIPv4 = server.address.isIPv4
    let key = Key(isIPv4: isIPv4, port: server.port)
    if let known = sockets[key] { return known }
    if sockets.count >= DNSReplySockets.maximum { closeAll() }
    let fd = Socket.udp(family: isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return fd }
    var result = Socket.setTransparent(fd, isIPv4: isIPv4)
    if result == 0 { result = Socket.set(fd, level: SOL_SOCKET, SO_REUSEADDR, 1) }
    if result == 0 { result = Socket.set(fd, level: SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
    if result == 0 {
      let nobody = isIPv4 ? IPAddress(v4: 0xC000_0008) : IPAddress(high: 0x0100_0000_0000_0000, low: 1)
      result = Socket.bind(fd, SocketAddress(nobody, port: server.port))
    }
    guard result == 0 else {
      close(fd)
      return result
    }
    // Nobody sends to it; what comes all the same must not pile up.
    _ = Socket.set(fd, level: SOL_SOCKET, SO_RCVBUF, 0)
    sockets[key] = fd
    return fd
  }

  mutating func closeAll() {
    for fd in sockets.values { close(fd) }
    sockets = [:]
  }
}
