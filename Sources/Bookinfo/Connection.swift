import Glibc

/// What went wrong with a socket.
public enum ConnectionError: Error, Hashable, Sendable, CustomStringConvertible {
  case system(call: String, errno: Int32)
  case timedOut
  case closed
  case syntax(HTTPSyntaxError)

  public var description: String {
    switch self {
    case .system(let call, let errno): "\(call): \(String(cString: strerror(errno)))"
    case .timedOut: "timed out"
    case .closed: "the peer closed the connection"
    case .syntax(let error): "the peer does not speak HTTP/1.1: \(error)"
    }
  }
}

/// A connected stream socket with a read buffer and a deadline; closes the descriptor at its end.
struct Connection: ~Copyable {
  let descriptor: Int32
  /// CLOCK_MONOTONIC nanoseconds after which every wait fails; nil waits for ever.
  var deadline: UInt64?
  private var buffer: [UInt8] = []
  private var start = 0

  init(descriptor: Int32, deadline: UInt64? = nil) {
    self.descriptor = descriptor
    self.deadline = deadline
  }

  deinit { close(descriptor) }

  static func now() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

  /// nil when the peer has closed the connection before the first byte.
  mutating func readHead() throws(ConnectionError) -> HTTPHead? {
    var scanned = start
    while true {
      while scanned + 3 < buffer.count {
        if buffer[scanned] == 13, buffer[scanned + 1] == 10, buffer[scanned + 2] == 13, buffer[scanned + 3] == 10 {
          let head = buffer[start..<scanned]
          start = scanned + 4
          do { return try HTTPHead(parsing: head) } catch { throw .syntax(error) }
        }
        scanned += 1
      }
      guard buffer.count - start < HTTPHead.maximumSize else { throw .syntax(HTTPSyntaxError("head too long")) }
      let before = start
      guard try fill() else {
        if buffer.count == start { return nil }
        throw .closed
      }
      scanned -= before - start
    }
  }

  /// The body that follows `head`; `untilClose` reads a body of unknown length to the end of the connection.
  mutating func readBody(of head: HTTPHead, untilClose: Bool) throws(ConnectionError) -> [UInt8] {
    if head.isChunked { return try readChunks() }
    let length: Int?
    do { length = try head.contentLength() } catch { throw .syntax(error) }
    if let length { return try read(exactly: length) }
    guard untilClose else { return [] }
    while try fill() {}
    defer { start = buffer.count }
    return Array(buffer[start...])
  }

  func write(_ bytes: [UInt8]) throws(ConnectionError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        try wait(for: Int16(POLLOUT))
      } else if errno != EINTR {
        throw .system(call: "send", errno: errno)
      }
    }
  }

  func wait(for events: Int16) throws(ConnectionError) {
    while true {
      var timeout: Int32 = -1
      if let deadline {
        let now = Connection.now()
        guard now < deadline else { throw .timedOut }
        timeout = Int32(clamping: (deadline - now) / 1_000_000 + 1)
      }
      var poll = pollfd(fd: descriptor, events: events, revents: 0)
      let ready = Glibc.poll(&poll, 1, timeout)
      if ready > 0 { return }
      if ready < 0, errno != EINTR { throw .system(call: "poll", errno: errno) }
    }
  }

  private mutating func readChunks() throws(ConnectionError) -> [UInt8] {
    var body: [UInt8] = []
    while true {
      let line = try readLine()
      let digits = line.prefix { $0 != UInt8(ascii: ";") }
      guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size >= 0,
        body.count + size <= 64 << 20
      else { throw .syntax(HTTPSyntaxError("bad chunk size")) }
      guard size > 0 else { break }
      body += try read(exactly: size)
      _ = try readLine()
    }
    while !(try readLine()).isEmpty {}
    return body
  }

  private mutating func readLine() throws(ConnectionError) -> [UInt8] {
    var line: [UInt8] = []
    while true {
      while start == buffer.count { guard try fill() else { throw .closed } }
      let byte = buffer[start]
      start += 1
      if byte == 10 { break }
      if byte != 13 { line.append(byte) }
      guard line.count < 8192 else { throw .syntax(HTTPSyntaxError("line too long")) }
    }
    return line
  }

  private mutating func read(exactly count: Int) throws(ConnectionError) -> [UInt8] {
    while buffer.count - start < count { guard try fill() else { throw .closed } }
    defer { start += count }
    return Array(buffer[start..<start + count])
  }

  /// Reads what is there; false at the end of the stream.
  private mutating func fill() throws(ConnectionError) -> Bool {
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    while true {
      if deadline != nil { try wait(for: Int16(POLLIN)) }
      var chunk = [UInt8](repeating: 0, count: 16 << 10)
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count > 0 {
        buffer += chunk[..<count]
        return true
      }
      if count == 0 { return false }
      if errno == EAGAIN {
        try wait(for: Int16(POLLIN))
      } else if errno != EINTR {
        throw .system(call: "recv", errno: errno)
      }
    }
  }
}

private func nanoseconds(_ clock: clockid_t) -> UInt64 {
  var time = timespec()
  clock_gettime(clock, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
