import CLinux
import Glibc
import Threads

/// A network namespace, held open by a descriptor.
public final class NetworkNamespace: Sendable {
  /// Where named namespaces are mounted, as ip-netns(8) has it.
  public static let folder = "/run/netns"

  /// Stays owned by this value.
  public let fileDescriptor: Int32

  init(owning descriptor: Int32) { fileDescriptor = descriptor }

  deinit { close(fileDescriptor) }

  /// Opens the namespace behind a path, such as /run/netns/NAME or /proc/PID/ns/net.
  public convenience init(path: String) throws(NetlinkError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw .last("open \(path)") }
    self.init(owning: descriptor)
  }

  /// Opens the namespace of this name.
  public convenience init(named name: String) throws(NetlinkError) {
    try self.init(path: "\(NetworkNamespace.folder)/\(name)")
  }

  /// The calling thread's namespace.
  public static func current() throws(NetlinkError) -> NetworkNamespace {
    try NetworkNamespace(path: "/proc/thread-self/ns/net")
  }

  /// A new namespace without a name, which goes with its last descriptor and process.
  public static func create() throws(NetlinkError) -> NetworkNamespace {
    try onNewNamespaceThread {}
  }

  /// Whether the file is a namespace at all: one of the kernel's file system of namespaces (NSFS_MAGIC of linux/magic.h).
  public var isNamespace: Bool {
    var system = statfs()
    return fstatfs(fileDescriptor, &system) == 0 && system.f_type == 0x6E73_6673
  }

  /// The namespace's inode number, which tells namespaces apart.
  public var inode: UInt64 {
    var status = stat()
    return fstat(fileDescriptor, &status) == 0 ? UInt64(status.st_ino) : 0
  }

  /// The number by which BPF programs tell namespaces apart (SO_NETNS_COOKIE); never used again while the machine runs.
  public func cookie() throws -> UInt64 {
    try run {
      let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      if descriptor < 0 { throw NetlinkError.last("socket(AF_INET)") }
      defer { close(descriptor) }
      var cookie: UInt64 = 0
      var length = socklen_t(MemoryLayout<UInt64>.size)
      guard getsockopt(descriptor, SOL_SOCKET, Int32(CLINUX_SO_NETNS_COOKIE), &cookie, &length) == 0 else {
        throw NetlinkError.last("getsockopt(SO_NETNS_COOKIE)")
      }
      return cookie
    }
  }

  /// Runs `body` on a thread of its own that is in this namespace; the calling thread waits and stays where it is.
  /// What `body` opens there (sockets, netlink) remains in this namespace afterwards.
  public func run<Success: Sendable>(
    _ body: @escaping @Sendable () throws -> Success
  ) throws -> Success {
    let descriptor = fileDescriptor
    return try NetworkNamespace.onThread {
      let result = clinux_setns(descriptor, Int32(CLINUX_CLONE_NEWNET))
      if result < 0 { throw NetlinkError(request: "setns", errno: -result) }
      return try body()
    }.get()
  }

  /// Runs `body` in a new namespace and opens that.
  static func onNewNamespaceThread(
    _ body: @escaping @Sendable () throws(NetlinkError) -> Void
  ) throws(NetlinkError) -> NetworkNamespace {
    try onThread { () throws(NetlinkError) -> NetworkNamespace in
      let result = clinux_unshare(Int32(CLINUX_CLONE_NEWNET))
      if result < 0 { throw NetlinkError(request: "unshare(CLONE_NEWNET)", errno: -result) }
      try body()
      return try current()
    }.get()
  }
  /// A change of namespace ends with the thread that made it.
  private static func onThread<Success: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Success
  ) throws(NetlinkError) -> Result<Success, Failure> {
    do throws(JoinedThread.Failure) { return try JoinedThread.run(body) } catch {
      throw NetlinkError(request: "pthread_create", errno: error.errno)
    }
  }
}
