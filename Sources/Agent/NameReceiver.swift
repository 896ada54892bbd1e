import Logging
import ProxyRules
import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The socket on which the proxy reports what names were answered with, and hears when the kernel knows it.
final class NameReceiver: Sendable {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws(AccessReceiverError) {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw AccessReceiverError(path: path, number: errno) }
    unlink(path)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
      guard path.utf8.count < room.count else { return false }
      room.copyBytes(from: path.utf8)
      return true
    }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard fits, bound == 0, chmod(path, 0o600) == 0, listen(descriptor, 4) == 0 else {
      let number = fits ? errno : ENAMETOOLONG
      close(descriptor)
      throw AccessReceiverError(path: path, number: number)
    }
  }

  deinit { close(descriptor) }

  /// Serves connections until `stop`; blocks the calling thread.
  func run(_ deliver: @escaping @Sendable ([LearnedName]) async -> Void) {
    while true {
      let connection = accept(descriptor, nil, nil)
      if connection < 0, errno == EINTR || errno == ECONNABORTED { continue }
      guard connection >= 0 else { return }
      let peer = NamePeer(connection)
      DetachedThread.start { peer.run(deliver) }
    }
  }

  func stop() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    unlink(path)
  }
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
