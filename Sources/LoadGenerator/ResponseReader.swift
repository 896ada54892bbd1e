/// Finds where an HTTP/1.1 response ends (RFC 9112, 6), in pieces of any size. It checks no more than that needs.
struct ResponseReader {
  enum Outcome: Equatable {
    case more
    case complete
    /// Not HTTP/1.1, for this reason.
    case malformed(String)
  }

  private enum State {
    case head
    case body(remaining: UInt64)
    case untilClose
    case chunkSize
    case chunk(remaining: UInt64)
    case trailer
    case complete
  }

  /// Whether the request was HEAD, whose response has no body.
  let isHead: Bool
  private(set) var status = 0
  /// Whether the server keeps the connection.
  private(set) var keepsConnection = true
  private var state = State.head
  private var line: [UInt8] = []
  private static let longestHead = 65_536

  init(isHead: Bool = false) { self.isHead = isHead }

  /// Makes it ready for the next response on a connection.
  mutating func reset() {
    state = .head
    status = 0
    keepsConnection = true
    line.removeAll(keepingCapacity: true)
  }

  /// Takes the next bytes of the connection; bytes after the end of the response are malformed, as nothing was asked for.
  mutating func read(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    var position = 0
    while position < bytes.count {
      switch state {
      case .complete: return .malformed("bytes after the response")
      case .untilClose: return .more
      case .body(let remaining):
        let taken = min(remaining, UInt64(bytes.count - position))
        position += Int(taken)
        state = remaining == taken ? .complete : .body(remaining: remaining - taken)
      case .chunk(let remaining):
        let taken = min(remaining, UInt64(bytes.count - position))
        position += Int(taken)
        state = remaining == taken ? .chunkSize : .chunk(remaining: remaining - taken)
      case .head, .chunkSize, .trailer:
        guard takeLine(bytes, &position) else {
          if line.count > ResponseReader.longestHead { return .malformed("a line or a head over 64 KiB") }
          return .more
        }
        if let reason = endOfLine() { return .malformed(reason) }
      }
    }
    if case .complete = state { return .complete }
    return .more
  }

  /// The peer has closed: whether that ended the response as it should.
  mutating func readEnd() -> Outcome {
    if case .untilClose = state { return .complete }
    return .malformed("closed before the end of the response")
  }

  /// Appends up to the end of a line, of the whole head while in one; true when that end was there.
  private mutating func takeLine(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> Bool {
    let isHead = if case .head = state { true } else { false }
    while position < bytes.count {
      let rest = bytes[position...]
      guard let feed = rest.firstIndex(of: 0x0A) else {
        line.append(contentsOf: rest)
        position = bytes.count
        return false
      }
      line.append(contentsOf: bytes[position...feed])
      position = feed + 1
      if !isHead || line.count >= 4 && line.suffix(4).elementsEqual([0x0D, 0x0A, 0x0D, 0x0A]) { return true }
      if line.count > ResponseReader.longestHead { return false }
    }
    return false
  }

  private mutating func endOfLine() -> String? {
    defer { line.removeAll(keepingCapacity: true) }
    switch state {
    case .head: return readHead()
    case .chunkSize:
      let text = line.prefix { $0 != 0x0D && $0 != 0x3B }
      if text.isEmpty, line.count == 2 { return nil }  // The line end after a chunk's bytes.
      guard let size = UInt64(String(decoding: text, as: UTF8.self), radix: 16) else { return "a chunk without a size" }
      state = size == 0 ? .trailer : .chunk(remaining: size)
    case .trailer: if line.count <= 2 { state = .complete }
    default: break
    }
    return nil
  }

  private mutating func readHead() -> String? {
    guard line.count >= 14, line.starts(with: Array("HTTP/1.".utf8)),
      let code = Int(String(decoding: line[9..<12], as: UTF8.self)), (100...599).contains(code)
    else { return "no HTTP/1.1 status line" }
    keepsConnection = line[7] != UInt8(ascii: "0")
    var length: UInt64?
    var chunked = false
    for field in line.split(separator: 0x0A).dropFirst() {
      guard let colon = field.firstIndex(of: 0x3A) else { continue }
      let name = field[..<colon]
      // The names that matter have these lengths; the others cost no string.
      guard name.count == 10 || name.count == 14 || name.count == 17 else { continue }
      let value = String(
        decoding: field[(colon + 1)...].filter { $0 != 0x20 && $0 != 0x0D && $0 != 0x09 }, as: UTF8.self
      )
      .lowercased()
      switch String(decoding: name, as: UTF8.self).lowercased() {
      case "content-length":
        guard let number = UInt64(value) else { return "Content-Length is no number" }
        length = number
      case "transfer-encoding": chunked = value.hasSuffix("chunked")
      case "connection": keepsConnection = value == "close" ? false : keepsConnection || value == "keep-alive"
      default: break
      }
    }
    if code < 200, code != 101 { return nil }  // An interim response: the head of the final one follows.
    status = code
    if isHead || code == 204 || code == 304 {
      state = .complete
    } else if chunked {
      state = .chunkSize
    } else if let length {
      state = length == 0 ? .complete : .body(remaining: length)
    } else {
      keepsConnection = false
      state = .untilClose
    }
    return nil
  }
}
