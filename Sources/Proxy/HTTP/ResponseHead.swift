#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What the reader of a response has to know of its request (RFC 9112, 6.3).
struct ResponseContext: Equatable {
  var isHEAD = false
  var isCONNECT = false
  var wantsUpgrade = false
}

/// A parsed response head.
struct ResponseHead {
  var length = 0
  var status = 0
  var framing = BodyFraming.none
  /// The server ends the connection after this response.
  var closes = false
  /// Both directions carry opaque octets from here on.
  var isTunnel = false

  /// 1xx but 101: another head follows for the same request.
  var isInterim: Bool { status < 200 && status != 101 }

  /// Parses a head that `HeadScanner` found complete with `length` octets.
  mutating func parse(
    _ bytes: UnsafePointer<UInt8>, length: Int, context: ResponseContext, fields: inout FieldSection
  ) -> HTTPFault? {
    self = ResponseHead()
    self.length = length
    // "HTTP/1.1 200" and the head's end are at least 16 octets.
    guard length >= 16, memcmp(bytes, "HTTP/1.", 7) == 0, bytes[7] &- 0x30 <= 1, bytes[8] == Octet.space else {
      return .invalidStatusLine
    }
    let isHTTP11 = bytes[7] == UInt8(ascii: "1")
    for index in 9..<12 {
      guard Octet.isDigit(bytes[index]) else { return .invalidStatusLine }
      status = status &* 10 &+ Int(bytes[index] &- 0x30)
    }
    guard status >= 100, status <= 599 else { return .invalidStatusLine }
    var at = 12
    // Servers that leave out the reason often leave out the blank before it; no boundary depends on it.
    guard bytes[at] == Octet.space || bytes[at] == Octet.carriageReturn else { return .invalidStatusLine }
    while Octet.isFieldValue(bytes[at]) { at &+= 1 }
    guard bytes[at] == Octet.carriageReturn, bytes[at &+ 1] == Octet.lineFeed else { return .invalidStatusLine }
    if let fault = fields.parse(bytes, from: at &+ 2, length: length) { return fault }
    var framing = FramingFields()
    if let fault = framing.read(bytes, fields), fault != .repeatedHost { return fault }
    closes = framing.saysClose || (!isHTTP11 && !framing.saysKeepAlive)
    if framing.isChunked && !isHTTP11 { return .transferEncodingBefore11 }
    return readFraming(framing, context)
  }

  private mutating func readFraming(_ fields: FramingFields, _ context: ResponseContext) -> HTTPFault? {
    if status == 101 {
      guard context.wantsUpgrade else { return .unexpectedSwitch }
      isTunnel = true
      return nil
    }
    if context.isCONNECT && status >= 200 && status < 300 {
      isTunnel = true
      return nil
    }
    if context.isHEAD || status < 200 || status == 204 || status == 304 { return nil }
    if fields.isChunked {
      framing = .chunked
    } else if let count = fields.contentLength {
      framing = count > 0 ? .length(count) : .none
    } else {
      framing = .untilClose
      closes = true
    }
    return nil
  }
}
