import Logging
import Proxy

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The socket to which the proxy sends what became of requests. It belongs to the agent; the proxy sends to its path and
/// never waits, so records that come while there is no agent are lost and counted by the proxy.
final class AccessReceiver: Sendable {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws(AccessReceiverError) {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw AccessReceiverError(path: path, number: errno) }
    var size: Int32 = 4 << 20
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
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
    guard fits, bound == 0 else {
      let number = fits ? errno : ENAMETOOLONG
      close(descriptor)
      throw AccessReceiverError(path: path, number: number)
    }
    chmod(path, 0o600)
  }

  deinit { close(descriptor) }

  /// Hands over records until `stop`; blocks the calling thread.
  func run(_ deliver: ([ProxyRecord]) -> Void) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      deliver(ProxyRecord.decode(UnsafeRawBufferPointer(rebasing: buffer[..<count])))
    }
  }

  func stop() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    unlink(path)
  }
}

struct AccessReceiverError: Error, CustomStringConvertible {
  let path: String
  let number: Int32

  var description: String { "can not receive access records at \(path): \(String(cString: strerror(number)))" }
}
