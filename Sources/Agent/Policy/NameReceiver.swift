import ProxyRules
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The socket on which the proxy reports what names were answered with, and hears when the kernel knows it.
final class NameReceiver: Sendable {
  private let socket: ProxySocket

  init(path: String) throws(ProxySocket.Failure) {
    socket = try ProxySocket(SOCK_SEQPACKET, path: path)
    guard listen(socket.descriptor, 4) == 0 else { throw ProxySocket.Failure(path: path, number: errno) }
  }

  /// Serves connections until `stop`; blocks the calling thread.
  func run(_ deliver: @escaping @Sendable ([LearnedName]) async -> Void) {
    while true {
      let connection = accept(socket.descriptor, nil, nil)
      if connection < 0, errno == EINTR || errno == ECONNABORTED { continue }
      guard connection >= 0 else { return }
      let peer = NamePeer(connection)
      DetachedThread.start { peer.run(deliver) }
    }
  }

  func stop() { socket.stop() }
}

/// One proxy.
private final class NamePeer: Sendable {
  private let descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  func run(_ deliver: @escaping @Sendable ([LearnedName]) async -> Void) {
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      guard let report = try? NameReport(parsing: buffer[..<count]) else { continue }
      Task {
        await deliver(report.names)
        self.acknowledge(report.id)
      }
    }
  }

  private func acknowledge(_ id: Int64) {
    let bytes = NameReport.acknowledgement(id).serialized()
    // A proxy that does not read gives its answers free after a while; it must not hold up others.
    _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
  }
}
