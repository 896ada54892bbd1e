import Glibc
import JSON
import Threads

/// Why a server can not start.
public struct BookinfoError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
}

/// One service of the sample: a small HTTP/1.1 server, one thread per connection, on both families.
///
///     let server = try BookinfoServer(role: .ratings, version: "v1", port: 9080)
///     server.run()
public final class BookinfoServer: Sendable {
  /// The port it listens on; the kernel's choice when 0 was asked for.
  public let port: UInt16
  private let listener: Int32
  private let service: BookinfoService

  /// Listens; `upstreams` are base URLs by role, such as `["ratings": "http://10.0.0.3:9080"]`.
  public init(
    role: BookinfoRole, version: String = "v1", port: UInt16 = 9080, upstreams: [String: String] = [:]
  ) throws(BookinfoError) {
    service = BookinfoService(role: role, version: version) { role, path, headers in
      BookinfoServer.call(role, path, headers, upstreams)
    }
    (listener, self.port) = try BookinfoServer.listen(on: port)
  }

  deinit { close(listener) }

  /// Serves until `stop()`.
  public func run() {
    while true {
      let descriptor = accept(listener, nil, nil)
      if descriptor >= 0 {
        DetachedThread.start(stackSize: 256 << 10) { [service] in BookinfoServer.serve(descriptor, service) }
      } else if errno == EMFILE || errno == ENFILE || errno == ENOMEM {
        usleep(10_000)
      } else if errno != EINTR && errno != ECONNABORTED {
        return
      }
    }
  }

  /// Makes `run()` return; connections end when their peers close them.
  public func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private static func listen(on port: UInt16) throws(BookinfoError) -> (Int32, UInt16) {
    func failure(_ call: String) -> BookinfoError {
      BookinfoError(description: "can not listen on port \(port): \(call): \(String(cString: strerror(errno)))")
    }
    // A kernel without IPv6 (ipv6.disable=1) has no AF_INET6 sockets.
    var family = AF_INET6
    var descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0, errno == EAFNOSUPPORT {
      family = AF_INET
      descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    }
    guard descriptor >= 0 else { throw failure("socket") }
    var on: Int32 = 1
    var off: Int32 = 0
    let size = socklen_t(MemoryLayout<Int32>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
    if family == AF_INET6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, size) }
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let bound = withUnsafeMutableBytes(of: &address) { bytes -> Bool in
      if family == AF_INET6 {
        bytes.storeBytes(
          of: sockaddr_in6(
            sin6_family: sa_family_t(AF_INET6), sin6_port: port.bigEndian, sin6_flowinfo: 0, sin6_addr: in6addr_any,
            sin6_scope_id: 0), as: sockaddr_in6.self)
      } else {
        length = socklen_t(MemoryLayout<sockaddr_in>.size)
        bytes.storeBytes(
          of: sockaddr_in(
            sin_family: sa_family_t(AF_INET), sin_port: port.bigEndian, sin_addr: in_addr(s_addr: 0),
            sin_zero: (0, 0, 0, 0, 0, 0, 0, 0)), as: sockaddr_in.self)
      }
      guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
      return bind(descriptor, pointer, length) == 0 && Glibc.listen(descriptor, 512) == 0
        && getsockname(descriptor, pointer, &length) == 0
    }
    guard bound else {
      let error = failure("bind")
      close(descriptor)
      throw error
    }
    // The port is at the same place in both forms.
    let chosen = withUnsafeBytes(of: address) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
    return (descriptor, chosen)
  }

  private static func serve(_ descriptor: Int32, _ service: BookinfoService) {
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    let client = peerAddress(descriptor)
    var connection = Connection(descriptor: descriptor)
    do {
      while let head = try connection.readHead() {
        guard head.start.count == 3, head.start[2].hasPrefix("HTTP/1.") else {
          try connection.write(response(400, ["error": "bad request"], close: true))
          return
        }
        if head.headers["Expect"]?.lowercased() == "100-continue" {
          try connection.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        }
        _ = try connection.readBody(of: head, untilClose: false)
        let request = BookinfoRequest(
          method: head.start[0], target: head.start[1], headers: head.headers, client: client)
        let answer = service.answer(request)
        let wish = head.headers["Connection"]?.lowercased()
        let close = wish == "close" || (head.start[2] == "HTTP/1.0" && wish != "keep-alive")
        let isHead = head.start[0] == "HEAD"
        try connection.write(response(answer.status, answer.body, close: close, withBody: !isHead))
        if close { return }
      }
    } catch ConnectionError.syntax {
      try? connection.write(response(400, ["error": "bad request"], close: true))
    } catch {
      // The peer is gone: nobody is left to tell.
    }
  }

  private static func response(_ status: Int, _ body: JSONValue, close: Bool, withBody: Bool = true) -> [UInt8] {
    let reason =
      switch status {
      case 200: "OK"
      case 400: "Bad Request"
      case 404: "Not Found"
      default: "Error"
      }
    let text = body.serialized() + [10]
    let head =
      "HTTP/1.1 \(status) \(reason)\r\nContent-Type: application/json\r\nContent-Length: \(text.count)\r\n"
      + (close ? "Connection: close\r\n\r\n" : "\r\n")
    return Array(head.utf8) + (withBody ? text : [])
  }

  private static func call(
    _ role: BookinfoRole, _ path: String, _ headers: HTTPHeaders, _ upstreams: [String: String]
  ) -> (status: Int, body: JSONValue) {
    guard let base = upstreams[role.rawValue] else {
      return (503, ["error": .string("no upstream for \(role.rawValue)")])
    }
    let trimmed = base.hasSuffix("/") ? String(base.dropLast()) : base
    do {
      let response = try httpRequest(method: "GET", url: trimmed + path, headers: headers, timeout: 3)
      guard response.status == 200 else {
        return (response.status, ["error": .string("\(role.rawValue) answered \(response.status)")])
      }
      return (200, try JSONValue(parsing: response.body))
    } catch {
      return (503, ["error": .string("\(role.rawValue) is not available: \(error)")])
    }
  }

  private static func peerAddress(_ descriptor: Int32) -> String {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let status = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        getpeername(descriptor, pointer, &length) == 0
          ? getnameinfo(pointer, length, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) : -1
      }
    }
    guard status == 0 else { return "" }
    let text = String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.hasPrefix("::ffff:") ? String(text.dropFirst(7)) : text
  }
}
