import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A Unix socket of the agent that the proxy knows by its path; only root may talk to it.
final class ProxySocket: Sendable {
  struct Failure: Error, CustomStringConvertible {
    let path: String
    let number: Int32

    var description: String { "can not listen to the proxy at \(path): \(String(cString: strerror(number)))" }
  }

  let descriptor: Int32
  private let path: String

  /// Takes the place of an earlier agent's.
  init(_ type: __socket_type, path: String) throws(Failure) {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(path: path, number: errno) }
    unlink(path)
    let result = clinux_bind_unix(descriptor, path)
    guard result == 0, chmod(path, 0o600) == 0 else {
      // `deinit` closes the socket.
      throw Failure(path: path, number: result == 0 ? errno : -result)
    }
  }

  deinit { close(descriptor) }

  /// Ends what waits at the socket.
  func stop() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    unlink(path)
  }
}
