import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where a proxy waits for the one that takes its place. Only its own user may come.
final class HandoverSocket: Sendable {
  private let fd: Int32
  private let path: String

  /// Takes the path from whoever had it.
  init(path: String) throws(SocketError) {
    self.path = path
    fd = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw SocketError("socket", errno: errno) }
    unlink(path)
    var result = clinux_bind_unix(fd, path)
    // Nobody can connect before listen(2).
    if result == 0 && chmod(path, 0o600) != 0 { result = -errno }
    if result == 0 && listen(fd, 4) != 0 { result = -errno }
    // `deinit` closes the socket.
    guard result == 0 else { throw SocketError("listen on \(path)", errno: -result) }
  }

  deinit { close(fd) }

  /// The next one that comes, of whatever user; nil after ``stop()``.
  func accept() -> HandoverLink? {
    while true {
      let connection = Glibc.accept(fd, nil, nil)
      if connection >= 0 { return HandoverLink(adopting: connection) }
      if errno == EINTR || errno == ECONNABORTED { continue }
      if errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS { return nil }
      usleep(100_000)
    }
  }

  /// Nobody can come any more. The path stays: the successor has it, or the next proxy takes it.
  func stop() { shutdown(fd, Int32(SHUT_RDWR)) }

  /// As `stop`, of a proxy that nobody follows.
  func remove() {
    stop()
    unlink(path)
  }
}
