import Addressing
import Glibc

/// The least of TCP that shows that a path carries traffic.
final class TCPListener: Sendable {
  let port: UInt16
  private let descriptor: Int32

  struct Failure: Error {
    let call: String
    let errno = Glibc.errno
  }

  init(_ address: IPAddress) throws {
    descriptor = socket(address.isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    var storage = TCPListener.storage(address, port: 0)
    port = try withUnsafeMutablePointer(to: &storage) { [descriptor] in
      try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        var length = socklen_t(address.isIPv4 ? 16 : 28)
        guard bind(descriptor, pointer, length) == 0, listen(descriptor, 8) == 0,
          getsockname(descriptor, pointer, &length) == 0
        else { throw Failure(call: "bind") }
        return UnsafeRawPointer(pointer).load(fromByteOffset: 2, as: UInt16.self).bigEndian
      }
    }
  }

  deinit { close(descriptor) }

  static func connect(_ address: IPAddress, port: UInt16) throws {
    let descriptor = socket(address.isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var timeout = timeval(tv_sec: 2, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var storage = storage(address, port: port)
    try withUnsafeMutablePointer(to: &storage) {
      try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        guard Glibc.connect(descriptor, pointer, socklen_t(address.isIPv4 ? 16 : 28)) == 0 else {
          throw Failure(call: "connect")
        }
      }
    }
  }

  private static func storage(_ address: IPAddress, port: UInt16) -> sockaddr_storage {
    var storage = sockaddr_storage()
    storage.ss_family = sa_family_t(address.isIPv4 ? AF_INET : AF_INET6)
    withUnsafeMutableBytes(of: &storage) { bytes in
      bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
      for (index, byte) in address.familyBytes.enumerated() { bytes[(address.isIPv4 ? 4 : 8) + index] = byte }
    }
    return storage
  }
}
