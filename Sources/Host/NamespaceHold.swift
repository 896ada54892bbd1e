import Files

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Keeps two `martlet up` from sharing a network namespace, where both would use the same devices, rules and tables.
///
/// Held by abstract Unix sockets (unix(7)): their names are the namespace's own, and go with the process, however it ends. One
/// is the same for all instances; the other, which /proc/net/unix lists, says which directory the holder has.
final class NamespaceHold: Sendable {
  private static let name = "martlet/node"
  private static let directoryPrefix = "martlet/directory="

  private let descriptors: [Int32]

  /// - Throws: when another instance has the calling thread's namespace.
  init(_ directory: StateDirectory) throws(HostError) {
    let node = try NamespaceHold.bind(NamespaceHold.name)
    guard let node else {
      let holder = NamespaceHold.holder.map { " (state directory \($0))" } ?? ""
      throw HostError(
        "another `martlet up`\(holder) has this network namespace; stop it with `martlet down\(NamespaceHold.option)`, "
          + "or start this one in a namespace of its own, as in `ip netns exec NAME martlet up`")
    }
    let told = try NamespaceHold.bind(NamespaceHold.directoryPrefix + directory.path)
    descriptors = [node, told].compactMap { $0 }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  private static var option: String { holder.map { " --state-dir \($0)" } ?? "" }

  /// The state directory of the instance that has the calling process's namespace; nil when none has.
  static var holder: String? {
    guard let table = try? StateFiles.read("/proc/self/net/unix") else { return nil }
    for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
      guard let start = line.firstRange(of: "@" + directoryPrefix)?.upperBound else { continue }
      return String(line[start...])
    }
    return nil
  }

  /// nil when somebody has the name.
  private static func bind(_ name: String) throws(HostError) -> Int32? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
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
        Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sa_family_t>.size + length))
      }
    }
    if result == 0 { return descriptor }
    let error = errno
    close(descriptor)
    if error == EADDRINUSE { return nil }
    throw HostError("the network namespace can not be taken: \(String(cString: strerror(error)))")
  }
}
