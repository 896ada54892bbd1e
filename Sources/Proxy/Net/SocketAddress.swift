public import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A TCP end: address and port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  public var address: IPAddress
  /// Host byte order.
  public var port: UInt16

  public init(_ address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  public var description: String { "\(address.bracketed):\(port)" }

  /// What stands for the node itself, in the same family.
  var ofNode: SocketAddress {
    SocketAddress(address.isIPv4 ? IPAddress(v4: 0x7F00_0001) : IPAddress(high: 0, low: 1), port: port)
  }

  /// Calls `body` with the `sockaddr` of the address' own family.
  func withSockAddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    if let v4 = address.v4 {
      var storage = sockaddr_in()
      storage.sin_family = sa_family_t(AF_INET)
      storage.sin_port = port.bigEndian
      storage.sin_addr.s_addr = v4.bigEndian
      return withUnsafePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
    var storage = sockaddr_in6()
    storage.sin6_family = sa_family_t(AF_INET6)
    storage.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &storage.sin6_addr) {
      $0.storeBytes(of: address.high.bigEndian, toByteOffset: 0, as: UInt64.self)
      $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    }
  }

  /// From what accept(2), getsockname(2) or getpeername(2) stored; nil for families other than IP.
  init?(_ storage: sockaddr_storage) {
    switch Int32(storage.ss_family) {
    case AF_INET:
      self = withUnsafeBytes(of: storage) { bytes in
        SocketAddress(
          IPAddress(v4: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))),
          port: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
      }
    case AF_INET6:
      self = withUnsafeBytes(of: storage) { bytes in
        SocketAddress(
          IPAddress(
            high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))),
          port: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
      }
    default: return nil
    }
  }
}
