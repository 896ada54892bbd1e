#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Opens the connection to a client's server. Called on the worker's own thread; it must not block.
public protocol UpstreamDialer: Sendable {
  /// Starts to connect.
  /// - Returns: a non-blocking socket that is connected or connecting, or a negated errno. The caller owns it.
  func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32
}

extension UpstreamDialer {
  /// As the requirement, by TCP.
  func dial(client: SocketAddress, server: SocketAddress) -> Int32 {
    dial(client: client, server: server, transport: .tcp)
  }
}

/// Connects to one address, whatever the client asked for: for tests and for benchmarks on loopback.
public struct FixedDialer: UpstreamDialer {
  private let upstream: SocketAddress

  public init(_ upstream: SocketAddress) {
    self.upstream = upstream
  }

  public func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32 {
    let fd = Socket.open(transport, family: upstream.address.isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return fd }
    let result = Socket.connect(fd, upstream)
    if result < 0 {
      close(fd)
      return result
    }
    return fd
  }
}
