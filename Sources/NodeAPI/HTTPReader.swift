/// Reads one HTTP/1.1 message (RFC 9112) from a socket, as far as the two ends of the node API use it.
struct HTTPReader {
  enum Failure: Error, Hashable, Sendable {
    case system(SystemCall.Failure)
    case closed
    case malformed(String)
    case tooLarge(String)
  }

  struct Head: Hashable, Sendable {
    /// The first line, by its blanks: at most three words.
    let start: [String]
    /// With names in lower case.
    let headers: [String: String]
  }

  let socket: UnixSocket
  /// nil waits for ever; set anew by who reads.
  var deadline: ContinuousClock.Instant?
  private var buffer: [UInt8] = []

  static let maximumHead = 64 << 10

  init(_ socket: UnixSocket, deadline: ContinuousClock.Instant?) {
    self.socket = socket
    self.deadline = deadline
  }

  mutating func head() throws(Failure) -> Head {
    let lines = try headLines()
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
        throw .malformed("a header without a name")
      }
      let name = line[..<colon].lowercased()
      let value = line[line.index(after: colon)...]
      let start = value.firstIndex { $0 != " " && $0 != "\t" } ?? value.endIndex
      let end = value.lastIndex { $0 != " " && $0 != "\t" }.map(value.index(after:)) ?? start
      guard headers.updateValue(String(value[start..<end]), forKey: name) == nil || name != "content-length" else {
        throw .malformed("two content-length headers")
      }
    }
    let start = (lines.first ?? "").split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).map(
      String.init)
    return Head(start: start, headers: headers)
  }

  /// The lines before the blank line, which is consumed.
  private mutating func headLines() throws(Failure) -> [String] {
    var lines: [String] = []
    var size = 0
    while true {
      let line = try self.line(maximum: HTTPReader.maximumHead - size)
      size += line.count + 2
      if line.isEmpty { return lines }
      lines.append(String(decoding: line, as: UTF8.self))
    }
  }

  /// Up to a line break, which is consumed; without a carriage return before it.
  private mutating func line(maximum: Int) throws(Failure) -> [UInt8] {
    var searched = 0
    while true {
      if let end = buffer[searched...].firstIndex(of: 0x0A) {
        let line = Array(buffer[..<end])
        buffer.removeFirst(end + 1)
        return line.last == 0x0D ? line.dropLast() : line
      }
      guard buffer.count < maximum else { throw .tooLarge("head") }
      searched = buffer.count
      try fill()
    }
  }

  /// The body that `Content-Length` announces.
  mutating func body(length: Int, maximum: Int) throws(Failure) -> [UInt8] {
    guard length <= maximum else { throw .tooLarge("body of \(length) bytes; at most \(maximum) are taken") }
    while buffer.count < length { try fill() }
    let body = Array(buffer[..<length])
    buffer.removeFirst(length)
    return body
  }

  /// The next chunk of a chunked body; nil after the last one.
  mutating func chunk(maximum: Int) throws(Failure) -> [UInt8]? {
    let line = try self.line(maximum: 1024)
    let digits = line.prefix { $0 != UInt8(ascii: ";") }
    guard let length = Int(String(decoding: digits, as: UTF8.self), radix: 16), length >= 0 else {
      throw .malformed("chunk size")
    }
    guard length > 0 else {
      _ = try headLines()
      return nil
    }
    let chunk = try body(length: length, maximum: maximum)
    guard try self.line(maximum: 1024).isEmpty else { throw .malformed("chunk without its end") }
    return chunk
  }

  private mutating func fill() throws(Failure) {
    let bytes: [UInt8]
    do throws(SystemCall.Failure) {
      bytes = try socket.read(upTo: 64 << 10, until: deadline)
    } catch {
      throw .system(error)
    }
    guard !bytes.isEmpty else { throw .closed }
    buffer += bytes
  }
}
