import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Who takes spans.
struct CollectorTarget: Hashable, Sendable {
  enum Place: Hashable, Sendable {
    case addresses([SocketAddress])
    /// Is looked up with each batch.
    case name(String, port: UInt16)
  }

  var place: Place
  let host: String
  let path: String
  let headers: [Header]
  let timeout: Duration

  struct Header: Hashable, Sendable {
    let name: String
    let value: String
  }

  /// Where to connect, one after the other.
  var addresses: [SocketAddress] {
    switch place {
    case .addresses(let addresses): addresses
    case .name(let name, let port): CollectorTarget.addresses(of: name).map { SocketAddress($0, port: port) }
    }
  }

  private static func addresses(of name: String) -> [IPAddress] {
    if let address = IPAddress(name) { return [address] }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var addresses: [IPAddress] = []
    var next = list
    while let entry = next {
      next = entry.pointee.ai_next
      guard let address = entry.pointee.ai_addr else { continue }
      var storage = sockaddr_storage()
      memcpy(&storage, address, Int(entry.pointee.ai_addrlen))
      if let found = SocketAddress(storage) { addresses.append(found.address) }
    }
    return addresses
  }
}

/// One request of HTTP/1.1 over a connection of its own, blocking.
enum CollectorClient {
  struct Answer: Equatable {
    var status: Int
    /// Seconds of `Retry-After`.
    var retryAfter: Int?
  }

  /// Posts a document; nil when no collector answered in time.
  static func post(_ body: [UInt8], to target: CollectorTarget) -> Answer? {
    let deadline = Clock.monotonic() &+ target.timeout.nanoseconds
    var head = "POST \(target.path) HTTP/1.1\r\nHost: \(target.host)\r\nContent-Type: application/json\r\n"
    for header in target.headers { head += "\(header.name): \(header.value)\r\n" }
    head += "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    for address in target.addresses {
      let socket = Socket.tcp(family: address.address.isIPv4 ? AF_INET : AF_INET6)
      guard socket >= 0 else { continue }
      defer { close(socket) }
      guard Socket.connect(socket, address) == 0, wait(socket, POLLOUT, until: deadline),
        send(Array(head.utf8), socket, deadline), send(body, socket, deadline)
      else { continue }
      if let answer = readHead(socket, deadline) { return answer }
    }
    return nil
  }

  private static func wait(_ socket: Int32, _ event: Int32, until deadline: UInt64) -> Bool {
    while true {
      let now = Clock.monotonic()
      guard now < deadline else { return false }
      var descriptor = pollfd(fd: socket, events: Int16(event), revents: 0)
      let count = poll(&descriptor, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
      if count > 0 { return true }
      if count < 0, errno != EINTR { return false }
    }
  }

  private static func send(_ octets: [UInt8], _ socket: Int32, _ deadline: UInt64) -> Bool {
    var at = 0
    while at < octets.count {
      let count = octets.withUnsafeBytes { bytes in
        Glibc.send(socket, bytes.baseAddress.map { $0 + at }, bytes.count - at, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        at += count
      } else if count < 0, errno == EAGAIN || errno == EINTR {
        guard wait(socket, POLLOUT, until: deadline) else { return false }
      } else {
        return false
      }
    }
    return true
  }

  /// Reads up to the end of a final head; what comes behind it is nobody's concern.
  private static func readHead(_ socket: Int32, _ deadline: UInt64) -> Answer? {
    var received: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while received.count < 65536 {
      let count = recv(socket, &chunk, chunk.count, 0)
      if count > 0 {
        received += chunk[..<count]
        if let answer = answer(in: received) { return answer }
      } else if count < 0, errno == EAGAIN || errno == EINTR {
        guard wait(socket, POLLIN, until: deadline) else { return nil }
      } else {
        return nil
      }
    }
    return nil
  }

  /// nil while the head is not complete.
  static func answer(in received: [UInt8]) -> Answer? {
    var lines: [Substring] = []
    for line in String(decoding: received, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false) {
      if line.isEmpty {
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        if status / 100 == 1 {
          lines = []
          continue
        }
        let wait = lines.first { $0.lowercased().hasPrefix("retry-after:") }?.dropFirst(12)
        return Answer(status: status, retryAfter: wait.flatMap { Int($0.filter { $0 != " " && $0 != "\t" }) })
      }
      lines.append(line)
    }
    return nil
  }
}
