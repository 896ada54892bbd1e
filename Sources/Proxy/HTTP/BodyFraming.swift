/// How a message's body ends (RFC 9112, 6.3).
enum BodyFraming: Equatable {
  case none
  case length(UInt64)
  case chunked
  case untilClose
}

/// What a head's fields say about framing and the connection, gathered in one pass; requests and responses share it.
struct FramingFields {
  var contentLength: UInt64?
  var isChunked = false
  var saysClose = false
  var saysKeepAlive = false
  var saysUpgrade = false
  var expectsContinue = false
  var host: ByteRange?
  var hasUpgrade = false
  /// One of the protocols that `Upgrade` offers, in whichever of its lines, is HTTP/2.
  var offersHTTP2 = false

  /// Reads the fields that move boundaries; anything ambiguous in them is a fault.
  mutating func read(_ bytes: UnsafePointer<UInt8>, _ fields: FieldSection) -> HTTPFault? {
    for line in fields.lines {
      let name = line.name
      switch name.count {
      case 4 where name.equalsIgnoringCase("host", in: bytes):
        if host != nil { return .repeatedHost }
        host = line.value
      case 6 where name.equalsIgnoringCase("expect", in: bytes):
        if line.value.equalsIgnoringCase("100-continue", in: bytes) { expectsContinue = true }
      case 7 where name.equalsIgnoringCase("upgrade", in: bytes):
        readUpgrade(bytes, line.value)
      case 10 where name.equalsIgnoringCase("connection", in: bytes):
        readConnection(bytes, line.value)
      case 14 where name.equalsIgnoringCase("content-length", in: bytes):
        if contentLength != nil { return .repeatedContentLength }
        guard let length = Self.decimal(bytes, line.value) else { return .invalidContentLength }
        contentLength = length
      case 17 where name.equalsIgnoringCase("transfer-encoding", in: bytes):
        guard !isChunked, line.value.equalsIgnoringCase("chunked", in: bytes) else {
          return .unsupportedTransferEncoding
        }
        isChunked = true
      default: continue
      }
    }
    return isChunked && contentLength != nil ? .lengthAndTransferEncoding : nil
  }

  private mutating func readConnection(_ bytes: UnsafePointer<UInt8>, _ value: ByteRange) {
    CommaSeparated.forEach(bytes, value) { option in
      switch option.count {
      case 5 where option.equalsIgnoringCase("close", in: bytes): saysClose = true
      case 7 where option.equalsIgnoringCase("upgrade", in: bytes): saysUpgrade = true
      case 10 where option.equalsIgnoringCase("keep-alive", in: bytes): saysKeepAlive = true
      default: break
      }
    }
  }

  private mutating func readUpgrade(_ bytes: UnsafePointer<UInt8>, _ value: ByteRange) {
    hasUpgrade = true
    CommaSeparated.forEach(bytes, value) { option in
      if option.count >= 3, ByteRange(start: option.start, count: 3).equalsIgnoringCase("h2c", in: bytes) {
        offersHTTP2 = true
      }
    }
  }

  /// 1 to 18 digits and nothing else: no sign, no list, nothing that overflows.
  private static func decimal(_ bytes: UnsafePointer<UInt8>, _ range: ByteRange) -> UInt64? {
    guard range.count > 0, range.count <= 18 else { return nil }
    var number: UInt64 = 0
    for index in range.start..<range.end {
      guard Octet.isDigit(bytes[index]) else { return nil }
      number = number &* 10 &+ UInt64(bytes[index] &- 0x30)
    }
    return number
  }
}

enum CommaSeparated {
  /// Calls `body` with each element of a list field (RFC 9110, 5.6.1), trimmed; empty elements are passed over.
  @inline(__always)
  static func forEach(_ bytes: UnsafePointer<UInt8>, _ value: ByteRange, _ body: (ByteRange) -> Void) {
    var at = value.start
    while at < value.end {
      while at < value.end, bytes[at] == Octet.space || bytes[at] == Octet.tab || bytes[at] == UInt8(ascii: ",") {
        at &+= 1
      }
      let start = at
      while at < value.end, bytes[at] != UInt8(ascii: ",") { at &+= 1 }
      var end = at
      while end > start, bytes[end &- 1] == Octet.space || bytes[end &- 1] == Octet.tab { end &-= 1 }
      if end > start { body(ByteRange(start: start, count: end &- start)) }
    }
  }
}
