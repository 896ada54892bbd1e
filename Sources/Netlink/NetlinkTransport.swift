/// Carries datagrams to and from the kernel. The real one is ``NetlinkSocket``; that of the tests sees every byte.
public protocol NetlinkTransport: Sendable {
  /// Sends one datagram.
  func send(_ datagram: [UInt8]) throws(NetlinkError)
  /// The next datagram, which may hold several messages; ETIMEDOUT when none comes.
  func receive() throws(NetlinkError) -> [UInt8]
}
