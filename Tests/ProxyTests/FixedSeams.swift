import Glibc

@testable import Proxy

/// Gives every connection the same policy.
struct FixedResolver: ConnectionResolver {
  private let policy: ConnectionPolicy

  init(_ policy: ConnectionPolicy) {
    self.policy = policy
  }

  func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
    policy
  }
}

/// Connects to one address, whatever the client asked for.
struct FixedDialer: UpstreamDialer {
  private let upstream: SocketAddress

  init(_ upstream: SocketAddress) {
    self.upstream = upstream
  }

  func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32 {
    let fd = Proxy.Socket.open(transport, family: upstream.address.isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return fd }
    let result = Proxy.Socket.connect(fd, upstream)
    if result < 0 {
      close(fd)
      return result
    }
    return fd
  }
}
