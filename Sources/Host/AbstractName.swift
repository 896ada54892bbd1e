import Files

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A name among the abstract Unix sockets (unix(7)) of the process's network namespace. Nobody else can have it there, everybody
/// sees it in /proc/net/unix, and it goes with the process, however that ends.
final class AbstractName: Sendable {
  private let descriptor: Int32

  /// nil: somebody has it. Of a name only the first 107 octets count.
  init?(_ name: String) throws(HostError) {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw HostError("no Unix socket: \(String(cString: strerror(errno)))") }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // An abstract name begins with a NUL and ends with the length.
    let length = withUnsafeMutableBytes(of: &address.sun_path) { path in
      let bytes = name.utf8.prefix(path.count - 1)
      for (index, byte) in bytes.enumerated() { path[index + 1] = byte }
      return bytes.count + 1
    }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sa_family_t>.size + length))
      }
    }
    if result == 0 { return }
    // Whatever ends this here, `deinit` closes the socket.
    if errno == EADDRINUSE { return nil }
    throw HostError("\"\(name)\" can not be bound in the network namespace: \(String(cString: strerror(errno)))")
  }

  deinit { close(descriptor) }

  /// Every name of the process's network namespace that begins with `prefix`; none when the table can not be read.
  static func all(_ prefix: String) -> [String] {
    guard let table = try? StateFiles.read("/proc/self/net/unix") else { return [] }
    return names(table: String(decoding: table, as: UTF8.self)).filter { $0.hasPrefix(prefix) }
  }

  /// The abstract names in /proc/net/unix (proc_net(5)): the last of eight columns, with an `@` for the NUL.
  static func names(table: String) -> [String] {
    table.split(separator: "\n").compactMap { line in
      let columns = line.split(separator: " ", maxSplits: 7)
      guard columns.count == 8, columns[7].hasPrefix("@") else { return nil }
      return String(columns[7].dropFirst())
    }
  }
}
