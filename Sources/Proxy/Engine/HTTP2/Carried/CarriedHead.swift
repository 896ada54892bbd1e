import HTTP2

/// A head of HTTP/1 that was found good, as a section of HTTP/2: what is about the connection stays behind (RFC 9113, 8.2.2).
struct CarriedHead {
  enum Kind {
    /// Another head follows.
    case interim
    /// There is no body.
    case whole
    case length(UInt64)
    case chunked
    case untilClose
  }

  let isRequest: Bool
  private(set) var kind = Kind.whole
  private(set) var isHEAD = false
  private(set) var isHTTP10 = false

  init(isRequest: Bool) { self.isRequest = isRequest }

  /// Reads a whole head of `length` octets into a list that is empty.
  mutating func read(_ bytes: UnsafePointer<UInt8>, length: Int, into list: inout HeaderList) {
    let start = (GoodLines.find(Octet.lineFeed, bytes, 0, length) ?? length &- 1) &+ 1
    if isRequest {
      readRequestLine(bytes, start, length, into: &list)
    } else {
      list.add(Self.view(":status"), UnsafeRawBufferPointer(start: bytes + 9, count: 3), indexing: .indexed)
    }
    let framing = Self.readFields(bytes, from: start, length: length, isRequest: isRequest, into: &list)
    let isInterim = !isRequest && bytes[9] == UInt8(ascii: "1")
    let isEmpty = !isRequest && (Self.isStatus(bytes, "204") || Self.isStatus(bytes, "304"))
    if isInterim {
      kind = .interim
    } else if isEmpty {
      kind = .whole
    } else if framing.isChunked {
      kind = .chunked
    } else if let octets = framing.length {
      kind = .length(octets)
    } else {
      kind = isRequest ? .whole : .untilClose
    }
  }

  private mutating func readRequestLine(
    _ bytes: UnsafePointer<UInt8>, _ end: Int, _ length: Int, into list: inout HeaderList
  ) {
    let method = GoodLines.find(Octet.space, bytes, 0, end) ?? end
    let target = min(method &+ 1, end)
    let targetEnd = GoodLines.find(Octet.space, bytes, target, end) ?? end
    isHTTP10 = end >= 3 && bytes[end &- 3] == UInt8(ascii: "0")
    isHEAD = Self.view("HEAD").elementsEqual(UnsafeRawBufferPointer(start: bytes, count: method))
    var path = target
    if bytes[target] != UInt8(ascii: "/"), bytes[target] != UInt8(ascii: "*") {
      // An absolute form, which says the same as the host field: its path begins behind the authority.
      let scheme = GoodLines.find(Octet.colon, bytes, target, targetEnd) ?? target
      path = GoodLines.find(UInt8(ascii: "/"), bytes, scheme &+ 3, targetEnd) ?? target
    }
    list.add(Self.view(":method"), UnsafeRawBufferPointer(start: bytes, count: method), indexing: .indexed)
    list.add(Self.view(":scheme"), Self.view("http"), indexing: .indexed)
    var lines = GoodLines(bytes, from: end, length: length)
    while let line = lines.next() {
      guard line.name.equalsIgnoringCase("host", in: bytes) else { continue }
      list.add(Self.view(":authority"), Self.view(line.value, bytes), indexing: .indexed)
      break
    }
    list.add(Self.view(":path"), UnsafeRawBufferPointer(start: bytes + path, count: targetEnd &- path))
  }

  /// What the fields say about the body.
  struct Framing {
    var isChunked = false
    var length: UInt64?
  }

  /// Reads the fields of a head or of trailers.
  @discardableResult
  static func readFields(
    _ bytes: UnsafePointer<UInt8>, from start: Int, length: Int, isRequest: Bool = false, into list: inout HeaderList
  ) -> Framing {
    var framing = Framing()
    // Other fields that a `Connection` names; there are hardly ever any.
    var named: [ByteRange] = []
    var lines = GoodLines(bytes, from: start, length: length)
    while let line = lines.next() {
      let name = line.name
      switch name.count {
      case 2 where name.equalsIgnoringCase("te", in: bytes):
        var takesTrailers = false
        CommaSeparated.forEach(bytes, line.value) { option in
          if option.equalsIgnoringCase("trailers", in: bytes) { takesTrailers = true }
        }
        if isRequest, takesTrailers { list.add(view("te"), view("trailers"), indexing: .indexed) }
        continue
      case 4 where isRequest && name.equalsIgnoringCase("host", in: bytes),
        7 where name.equalsIgnoringCase("upgrade", in: bytes),
        10 where name.equalsIgnoringCase("keep-alive", in: bytes),
        14 where name.equalsIgnoringCase("http2-settings", in: bytes),
        16 where name.equalsIgnoringCase("proxy-connection", in: bytes):
        continue
      case 10 where name.equalsIgnoringCase("connection", in: bytes):
        CommaSeparated.forEach(bytes, line.value) { option in
          if !isKnown(option, bytes) { named.append(option) }
        }
        continue
      case 14 where name.equalsIgnoringCase("content-length", in: bytes):
        framing.length = decimal(bytes, line.value)
      case 17 where name.equalsIgnoringCase("transfer-encoding", in: bytes):
        framing.isChunked = true
        continue
      default: break
      }
      list.add(
        view(name, bytes), view(line.value, bytes), indexing: indexing(name, bytes), lowercasing: true)
    }
    if !named.isEmpty {
      list.removeAll { field in
        named.contains { $0.count == field.count && $0.spells(String(decoding: field, as: UTF8.self), in: bytes) }
      }
    }
    return framing
  }

  /// Options that name no field, or one that goes anyway. A length is the message's own, whatever is said about it.
  private static func isKnown(_ option: ByteRange, _ bytes: UnsafePointer<UInt8>) -> Bool {
    option.equalsIgnoringCase("close", in: bytes) || option.equalsIgnoringCase("keep-alive", in: bytes)
      || option.equalsIgnoringCase("upgrade", in: bytes) || option.equalsIgnoringCase("te", in: bytes)
      || option.equalsIgnoringCase("http2-settings", in: bytes)
      || option.equalsIgnoringCase("content-length", in: bytes)
  }

  /// Secrets are never indexed, so that nobody can guess them by the size of what is sent (RFC 7541, 7.1.3); what differs from
  /// message to message is not worth an entry.
  private static func indexing(_ name: ByteRange, _ bytes: UnsafePointer<UInt8>) -> FieldIndexing {
    switch name.count {
    case 6 where name.equalsIgnoringCase("cookie", in: bytes),
      10 where name.equalsIgnoringCase("set-cookie", in: bytes),
      13 where name.equalsIgnoringCase("authorization", in: bytes):
      .never
    case 3 where name.equalsIgnoringCase("age", in: bytes),
      4 where name.equalsIgnoringCase("etag", in: bytes),
      8 where name.equalsIgnoringCase("location", in: bytes),
      14 where name.equalsIgnoringCase("content-length", in: bytes):
      .plain
    default: .indexed
    }
  }

  private static func isStatus(_ bytes: UnsafePointer<UInt8>, _ text: StaticString) -> Bool {
    view(text).elementsEqual(UnsafeRawBufferPointer(start: bytes + 9, count: 3))
  }

  private static func decimal(_ bytes: UnsafePointer<UInt8>, _ range: ByteRange) -> UInt64 {
    var number: UInt64 = 0
    for at in range.start..<range.end { number = number &* 10 &+ UInt64(bytes[at] &- 0x30) }
    return number
  }

  private static func view(_ text: StaticString) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }

  private static func view(_ range: ByteRange, _ bytes: UnsafePointer<UInt8>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes + range.start, count: range.count)
  }
}
