import Glibc

enum IPv6Text {
  /// The 16 bytes of an address in network order.
  static func bytes(_ text: String) -> [UInt8]? {
    var address = in6_addr()
    guard inet_pton(AF_INET6, text, &address) == 1 else { return nil }
    return withUnsafeBytes(of: address) { Array($0) }
  }
}
