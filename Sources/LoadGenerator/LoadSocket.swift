#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

enum LoadSocket {
  /// A socket that listens on both families; port 0 is the kernel's choice. To be closed by the caller.
  static func listen(_ port: UInt16, flags: Int32 = 0) throws(LoadError) -> Int32 {
    let listener = socket(AF_INET6, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue) | flags, 0)
    var on: Int32 = 1
    var off: Int32 = 0
    let size = socklen_t(MemoryLayout<Int32>.size)
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, size)
    setsockopt(listener, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, size)
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0 && Glibc.listen(listener, 1024) == 0
      }
    }
    guard bound else {
      let reason = String(cString: strerror(errno))
      if listener >= 0 { close(listener) }
      throw LoadError("can not listen on port \(port): \(reason)")
    }
    return listener
  }

  /// The port that a socket is bound to; 0 when it has none.
  static func port(of descriptor: Int32) -> UInt16 {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let known = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) == 0 }
    }
    return known ? UInt16(bigEndian: address.sin6_port) : 0
  }
}
