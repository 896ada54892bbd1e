import Proxy

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The socket to which the proxy sends what became of requests. It belongs to the agent; the proxy sends to its path and
/// never waits, so records that come while there is no agent are lost and counted by the proxy.
final class AccessReceiver: Sendable {
  private let socket: ProxySocket

  init(path: String) throws(ProxySocket.Failure) {
    socket = try ProxySocket(SOCK_DGRAM, path: path)
    var size: Int32 = 4 << 20
    setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Hands over records until `stop`; blocks the calling thread.
  func run(_ deliver: ([ProxyRecord]) -> Void) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      let count = recv(socket.descriptor, buffer.baseAddress, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      deliver(ProxyRecord.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count])))
    }
  }

  func stop() { socket.stop() }
}
