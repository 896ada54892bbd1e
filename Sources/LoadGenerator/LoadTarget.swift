import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What the caller asked for is not possible.
public struct LoadError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// Where the load goes: a numeric address, a port and, for HTTP, what stands in `Host` and the request's target.
public struct LoadTarget: Hashable, Sendable {
  public let address: IPAddress
  public let port: UInt16
  /// The authority as it was written.
  public let authority: String
  /// Path and query; "/" when the URL has none.
  public let path: String

  /// Parses `http://HOST[:PORT][/PATH]` (RFC 3986); names are resolved, IPv6 addresses stand in brackets.
  public init(url: String) throws(LoadError) {
    let scheme = "http://"
    guard url.lowercased().hasPrefix(scheme) else {
      throw LoadError("URL \"\(url)\" does not begin with http://")
    }
    let rest = url.dropFirst(scheme.count)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    let target = rest[end...].prefix { $0 != "#" }
    guard target.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
      throw LoadError("URL \"\(url)\" has a blank or a control character in its path")
    }
    path = target.hasPrefix("/") ? String(target) : "/" + target
    authority = String(rest[..<end])
    (address, port) = try LoadTarget.resolve(authority, defaultPort: 80)
  }

  /// Parses `HOST:PORT`, or `HOST` where there is a default port; names are resolved, IPv6 addresses stand in brackets.
  public init(endpoint: String, defaultPort: UInt16? = nil) throws(LoadError) {
    authority = endpoint
    path = ""
    (address, port) = try LoadTarget.resolve(endpoint, defaultPort: defaultPort)
  }

  private static func resolve(_ authority: String, defaultPort: UInt16?) throws(LoadError) -> (IPAddress, UInt16) {
    var host = authority[...]
    var portText: Substring?
    if host.hasPrefix("["), let close = host.firstIndex(of: "]") {
      let rest = host[host.index(after: close)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { throw LoadError("\"\(authority)\" is not HOST:PORT") }
      portText = rest.isEmpty ? nil : rest.dropFirst()
      host = host[host.index(after: host.startIndex)..<close]
      guard let address = IPAddress(host), address.isIPv6 else {
        throw LoadError("\"\(host)\" in brackets is not an IPv6 address")
      }
    } else if let colon = host.lastIndex(of: ":") {
      portText = host[host.index(after: colon)...]
      host = host[..<colon]
      guard !host.contains(":") else { throw LoadError("\"\(authority)\": an IPv6 address stands in brackets") }
    }
    guard !host.isEmpty else { throw LoadError("\"\(authority)\" names no host") }
    guard let port = portText.map({ UInt16($0) }) ?? defaultPort, port > 0 else {
      throw LoadError("\"\(authority)\" names no port from 1 to 65535")
    }
    if let address = IPAddress(host) { return (address, port) }
    guard let address = lookUp(String(host)) else {
      throw LoadError("host \"\(host)\" has no address")
    }
    return (address, port)
  }

  private static func lookUp(_ host: String) -> IPAddress? {
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, nil, &found) == 0, let first = found else { return nil }
    defer { freeaddrinfo(first) }
    let bytes = UnsafeRawBufferPointer(start: first.pointee.ai_addr, count: Int(first.pointee.ai_addrlen))
    switch first.pointee.ai_family {
    case AF_INET where bytes.count >= 8: return IPAddress(bytes: bytes[4..<8])
    case AF_INET6 where bytes.count >= 24: return IPAddress(bytes: bytes[8..<24])
    default: return nil
    }
  }

  /// A non-blocking socket that connects to the target; or a negated errno.
  func connect(datagrams: Bool) -> Int32 {
    let type = datagrams ? SOCK_DGRAM : SOCK_STREAM
    let flags = Int32(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(address.isIPv4 ? AF_INET : AF_INET6, flags, 0)
    guard descriptor >= 0 else { return -errno }
    if !datagrams {
      var on: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    var (storage, size) = socketAddress
    let result = withUnsafeMutableBytes(of: &storage) { bytes -> Int32 in
      guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
      return Glibc.connect(descriptor, pointer, size)
    }
    guard result == 0 || errno == EINPROGRESS else {
      let code = errno
      close(descriptor)
      return -code
    }
    return descriptor
  }
  /// A sockaddr_in or sockaddr_in6: family, port, then 4 bytes of address, or 4 of flow and 16 of address.
  var socketAddress: (sockaddr_storage, socklen_t) {
    var storage = sockaddr_storage()
    storage.ss_family = sa_family_t(address.isIPv4 ? AF_INET : AF_INET6)
    withUnsafeMutableBytes(of: &storage) { bytes in
      bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
      for (index, byte) in address.familyBytes.enumerated() { bytes[(address.isIPv4 ? 4 : 8) + index] = byte }
    }
    return (storage, socklen_t(address.isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size))
  }
}
