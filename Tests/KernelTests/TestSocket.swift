import CLinux
import Glibc
import Netlink
import Synchronization
import Testing

/// A control group of the test's own. A socket belongs to the group of the process that makes it, so the process is in it
/// for that moment.
final class TestCgroup: Sendable {
  static let root = access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup"
  private static let moving = Mutex(0)
  let path: String

  init() throws {
    let number = TestCgroup.moving.withLock {
      $0 += 1
      return $0
    }
    path = "\(TestCgroup.root)/martlet-test-\(getpid())-\(number)"
    try #require(mkdir(path, 0o755) == 0)
  }

  deinit { rmdir(path) }

  /// Runs `body` while the process is in the group.
  func inside<Result>(_ body: () throws -> Result) throws -> Result {
    try TestCgroup.moving.withLock { _ in
      let home = try TestCgroup.home()
      try TestCgroup.enter(path)
      defer { try? TestCgroup.enter(home) }
      return try body()
    }
  }

  /// Runs `body` while the process is in none of the tests' groups.
  static func outside<Result>(_ body: () throws -> Result) rethrows -> Result {
    try moving.withLock { _ in try body() }
  }

  private static func home() throws -> String {
    let file = try #require(fopen("/proc/self/cgroup", "r"))
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if text.hasPrefix("0::") { return root + text.dropFirst(3) }
    }
    throw NetlinkError(request: "find the cgroup of this process", errno: ENOENT)
  }

  private static func enter(_ path: String) throws {
    let file = try #require(fopen(path + "/cgroup.procs", "w"))
    defer { fclose(file) }
    fputs("\(getpid())", file)
    try #require(fflush(file) == 0)
  }
}

struct Endpoint: Hashable, CustomStringConvertible {
  var address: Address
  var port: UInt16
  var description: String { "\(address.map { String($0) }.joined(separator: ".")):\(port)" }
}

/// A socket of a namespace, with addresses in their one form of 16 octets.
final class TestSocket {
  let descriptor: Int32
  private let isIPv4: Bool

  /// Outside of `cgroup`, without one, nothing is balanced.
  init(
    _ family: Int32, _ type: __socket_type, in namespace: NetworkNamespace, cgroup: TestCgroup? = nil
  ) throws {
    isIPv4 = family == AF_INET
    let make = { try TestSocket.make(in: namespace, family, type) }
    descriptor = try cgroup.map { try $0.inside(make) } ?? make()
    var limit = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  static func make(in namespace: NetworkNamespace, _ family: Int32, _ type: __socket_type) throws -> Int32 {
    let kind = Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return try namespace.run {
      let descriptor = socket(family, kind, 0)
      if descriptor < 0 { throw NetlinkError(request: "socket", errno: errno) }
      return descriptor
    }
  }

  /// A server on an address of the stage.
  static func server(_ endpoint: Endpoint, _ type: __socket_type, in namespace: NetworkNamespace) throws -> TestSocket {
    let isIPv4 = endpoint.address.starts(with: v4(0, 0, 0, 0).prefix(12))
    let server = try TestSocket(isIPv4 ? AF_INET : AF_INET6, type, in: namespace)
    try #require(server.bind(endpoint) == 0)
    if type == SOCK_STREAM { try #require(listen(server.descriptor, 64) == 0) }
    return server
  }

  /// 0 or an errno.
  func connect(_ endpoint: Endpoint) -> Int32 {
    withAddress(endpoint) { Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno }
  }

  func bind(_ endpoint: Endpoint) -> Int32 {
    withAddress(endpoint) { Glibc.bind(descriptor, $0, $1) == 0 ? 0 : errno }
  }

  /// `to` nil: to whom it is connected.
  func send(_ bytes: [UInt8], to endpoint: Endpoint? = nil) -> Int32 {
    let flags = Int32(MSG_NOSIGNAL)
    guard let endpoint else { return Glibc.send(descriptor, bytes, bytes.count, flags) >= 0 ? 0 : errno }
    return withAddress(endpoint) { sendto(descriptor, bytes, bytes.count, flags, $0, $1) >= 0 ? 0 : errno }
  }

  func receive() -> (bytes: [UInt8], from: Endpoint)? {
    var buffer = [UInt8](repeating: 0, count: 2048)
    var count = 0
    let from = readAddress { address, length in
      count = recvfrom(descriptor, &buffer, buffer.count, 0, address, length)
      return count >= 0
    }
    return from.map { (Array(buffer.prefix(count)), $0) }
  }

  /// The error that waits on the socket.
  var pendingError: Int32 {
    var error: Int32 = 0
    var length = socklen_t(4)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
    return error
  }

  var peer: Endpoint? { readAddress { getpeername(descriptor, $0, $1) == 0 } }
  var local: Endpoint? { readAddress { getsockname(descriptor, $0, $1) == 0 } }

  /// Which of the sockets has something to receive, or a connection to accept; nil when none does in time.
  static func awaitInput(_ sockets: [TestSocket]) -> Int? {
    var wanted = sockets.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    guard poll(&wanted, nfds_t(wanted.count), 5000) > 0 else { return nil }
    return wanted.firstIndex { $0.revents != 0 }
  }

  private func withAddress(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var bytes: [UInt8]
    let family = UInt16(isIPv4 ? AF_INET : AF_INET6)
    bytes = withUnsafeBytes(of: family) { Array($0) } + be16(endpoint.port)
    if isIPv4 {
      bytes += endpoint.address.suffix(4) + [UInt8](repeating: 0, count: 8)
    } else {
      bytes += [0, 0, 0, 0] + endpoint.address + [0, 0, 0, 0]
    }
    return bytes.withUnsafeBytes { buffer in
      buffer.baseAddress.map { body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(buffer.count)) } ?? EFAULT
    }
  }

  private func readAddress(
    _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Bool
  ) -> Endpoint? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let done = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
    }
    if !done { return nil }
    let bytes = withUnsafeBytes(of: storage) { Array($0) }
    let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    return storage.ss_family == UInt16(AF_INET)
      ? Endpoint(address: v4(bytes[4], bytes[5], bytes[6], bytes[7]), port: port)
      : Endpoint(address: Array(bytes[8..<24]), port: port)
  }
}
