#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The little of HTTP/1.1 that a scrape needs.
enum MetricsRequest: Hashable, Sendable {
  case metrics(isHead: Bool)
  /// A status line's code and reason.
  case refused(String)

  private static let limit = 8192
  private static let patience = timeval(tv_sec: 2, tv_usec: 0)

  /// Reads a request's head; nil when the client does not send one in time.
  static func read(from connection: Int32) -> MetricsRequest? {
    var patience = patience
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    let end = ContinuousClock.now + .seconds(2)
    var head: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 2048)
    while !isComplete(head) {
      guard head.count < limit else { return .refused("431 Request Header Fields Too Large") }
      let count = recv(connection, &chunk, chunk.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0, ContinuousClock.now < end else { return nil }
      head += chunk[..<count]
    }
    return parse(head)
  }

  static func parse(_ head: [UInt8]) -> MetricsRequest {
    let line = String(decoding: head.prefix { $0 != 13 && $0 != 10 }, as: UTF8.self)
    let words = line.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { return .refused("400 Bad Request") }
    guard words[0] == "GET" || words[0] == "HEAD" else { return .refused("405 Method Not Allowed") }
    guard words[1].prefix(while: { $0 != "?" }) == "/metrics" else { return .refused("404 Not Found") }
    return .metrics(isHead: words[0] == "HEAD")
  }

  static func write(_ bytes: [UInt8], to connection: Int32) {
    var patience = patience
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(connection, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      sent += count
    }
  }

  private static func isComplete(_ head: [UInt8]) -> Bool {
    let text = head.filter { $0 != 13 }
    return zip(text, text.dropFirst()).contains { $0 == (10, 10) }
  }
}
