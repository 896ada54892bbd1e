import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where metrics are served: `127.0.0.1:9962`, `[::1]:9962`.
public struct MetricsAddress: Hashable, Sendable, CustomStringConvertible {
  public let host: IPAddress
  /// 0: one that is free.
  public let port: UInt16

  public init(host: IPAddress, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Of this host alone, in the network namespace of the process.
  public static func loopback(_ port: UInt16) -> MetricsAddress {
    MetricsAddress(host: IPAddress(v4: 0x7F00_0001), port: port)
  }

  /// The agent's, unless it is told otherwise.
  public static let agent = loopback(9962)
  /// The proxy's, unless it is told otherwise.
  public static let proxy = loopback(9964)

  /// nil for what is no `ADDRESS:PORT`.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard let address = IPAddress(String(host)) else { return nil }
    self.init(host: address, port: port)
  }

  public var description: String { host.isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

  func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    func call<Address>(_ address: Address) -> Result {
      withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Address>.size)) }
      }
    }
    if host.isIPv4 {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: host.familyBytes) }
      return call(address)
    }
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: host.bytes) }
    return call(address)
  }
}
