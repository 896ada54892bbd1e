import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A system call that failed.
public struct SocketError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was tried, as "bind 127.0.0.1:80".
  public let operation: String
  public let errno: Int32

  public init(_ operation: String, errno: Int32) {
    self.operation = operation
    self.errno = errno
  }

  public var description: String { "\(operation): \(String(cString: strerror(errno)))" }
}

/// The system calls of a TCP socket. Results below zero are negated errno values.
public enum Socket {
  /// A non-blocking TCP socket that is closed on exec.
  public static func tcp(family: Int32) -> Int32 {
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let fd = socket(family, flags, Int32(IPPROTO_TCP))
    return fd < 0 ? -errno : fd
  }

  /// Sets an integer option.
  public static func set(_ fd: Int32, level: Int32, _ option: Int32, _ value: Int32) -> Int32 {
    var value = value
    let result = setsockopt(fd, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    return result < 0 ? -errno : 0
  }

  public static func bind(_ fd: Int32, _ address: SocketAddress) -> Int32 {
    let result = address.withSockAddr { Glibc.bind(fd, $0, $1) }
    return result < 0 ? -errno : 0
  }

  /// Starts to connect; 0 also when the connection is under way.
  public static func connect(_ fd: Int32, _ address: SocketAddress) -> Int32 {
    let result = address.withSockAddr { Glibc.connect(fd, $0, $1) }
    if result == 0 || errno == EINPROGRESS { return 0 }
    return -errno
  }

  /// A non-blocking Unix domain socket that is connected to `path`, or a negated errno.
  static func connected(_ type: __socket_type, to path: String) -> Int32 {
    let flags = Int32(type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let fd = socket(AF_UNIX, flags, 0)
    guard fd >= 0 else { return -errno }
    let result = clinux_connect_unix(fd, path)
    guard result == 0 else {
      close(fd)
      return result
    }
    return fd
  }

  static func setNoDelay(_ fd: Int32) { _ = set(fd, level: Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

  static func localAddress(_ fd: Int32) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &length) }
    }
    return result == 0 ? SocketAddress(storage) : nil
  }

  static func peerAddress(_ fd: Int32) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(fd, $0, &length) }
    }
    return result == 0 ? SocketAddress(storage) : nil
  }

  /// An integer option; nil when the socket has none such.
  static func option(_ fd: Int32, level: Int32, _ option: Int32) -> Int32? {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(fd, level, option, &value, &length) == 0 ? value : nil
  }

  /// The next connection of a listener, or a negated errno.
  static func accept(_ listener: Int32, peer: inout SocketAddress?) -> Int32 {
    var storage = sockaddr_storage()
    var length = UInt32(MemoryLayout<sockaddr_storage>.size)
    let fd = clinux_accept(listener, &storage, &length)
    if fd >= 0 { peer = SocketAddress(storage) }
    return fd
  }

  @inline(__always)
  static func receive(_ fd: Int32, _ into: UnsafeMutablePointer<UInt8>, _ count: Int) -> Int {
    let result = recv(fd, into, count, 0)
    return result < 0 ? -Int(errno) : result
  }

  /// - Parameter isLast: shutdown(2) follows at once: its FIN then travels with the octets.
  @inline(__always)
  static func send(_ fd: Int32, _ from: UnsafePointer<UInt8>, _ count: Int, isLast: Bool = false) -> Int {
    let result = Glibc.send(fd, from, count, Int32(MSG_NOSIGNAL) | (isLast ? Int32(MSG_MORE) : 0))
    return result < 0 ? -Int(errno) : result
  }

  /// Makes close(2) send a reset: the other side must not take what it got for all there was.
  static func resetOnClose(_ fd: Int32) {
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }
}

enum Clock {
  /// CLOCK_MONOTONIC in nanoseconds.
  @inline(__always)
  static func monotonic() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// CLOCK_REALTIME in nanoseconds since 1970.
  static func realtime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
