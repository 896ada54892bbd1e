/// Opens the connection to a client's server. Called on the worker's own thread; it must not block.
public protocol UpstreamDialer: Sendable {
  /// Starts to connect.
  /// - Parameter client: whose address the server sees; that of the node for a loopback address (`SocketAddress.ofNode`).
  /// - Returns: a non-blocking socket that is connected or connecting, or a negated errno. The caller owns it.
  func dial(client: SocketAddress, server: SocketAddress, transport: Transport) -> Int32
}

extension UpstreamDialer {
  /// As the requirement, by TCP.
  func dial(client: SocketAddress, server: SocketAddress) -> Int32 {
    dial(client: client, server: server, transport: .tcp)
  }
}
