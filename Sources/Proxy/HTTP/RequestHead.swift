#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A parsed request head: ranges of its octets and what decides about framing.
struct RequestHead {
  var length = 0
  var method = ByteRange()
  var target = ByteRange()
  /// What rules match: the path with its query; of an absolute-form target the part after the authority.
  var path = ByteRange()
  var host = ByteRange()
  var isHTTP11 = true
  var isHEAD = false
  var isCONNECT = false
  /// RFC 9110, 9.2.2; only such a request may be sent a second time.
  var isIdempotent = false
  var framing = BodyFraming.none
  var wantsClose = false
  var wantsUpgrade = false
  var expectsContinue = false
  /// One of the upgrades asked for is to HTTP/2, which would carry later requests past the rules: all have to be cut out.
  var offersHTTP2 = false

  /// Parses a head that `HeadScanner` found complete with `length` octets.
  mutating func parse(_ bytes: UnsafePointer<UInt8>, length: Int, fields: inout FieldSection) -> HTTPFault? {
    self = RequestHead()
    self.length = length
    var at = 0
    while Octet.isToken(bytes[at]) { at &+= 1 }
    guard at > 0, bytes[at] == Octet.space else { return .invalidMethod }
    method = ByteRange(start: 0, count: at)
    at &+= 1
    let targetStart = at
    while Octet.isTarget(bytes[at]) { at &+= 1 }
    guard at > targetStart else { return .invalidTarget }
    target = ByteRange(start: targetStart, count: at &- targetStart)
    guard bytes[at] == Octet.space else {
      // "GET /" and no version is HTTP/0.9.
      return bytes[at] == Octet.carriageReturn ? .invalidVersion : .invalidTarget
    }
    at &+= 1
    if let fault = readVersion(bytes, at) { return fault }
    at &+= 8
    guard bytes[at] == Octet.carriageReturn, bytes[at &+ 1] == Octet.lineFeed else { return .invalidVersion }
    if let fault = fields.parse(bytes, from: at &+ 2, length: length) { return fault }
    var framing = FramingFields()
    if let fault = framing.read(bytes, fields) { return fault }
    classifyMethod(bytes)
    return readTarget(bytes, framing) ?? readFraming(bytes, framing, fields)
  }

  private mutating func readVersion(_ bytes: UnsafePointer<UInt8>, _ at: Int) -> HTTPFault? {
    // The head ends in at least four octets, and a carriage return stops the comparison before them.
    let name = ByteRange(start: at, count: 5)
    guard at &+ 8 <= length, bytes[at] == UInt8(ascii: "H"), bytes[name.end &- 1] == UInt8(ascii: "/"),
      memcmp(bytes + at, "HTTP/", 5) == 0, Octet.isDigit(bytes[at &+ 5]), bytes[at &+ 6] == UInt8(ascii: "."),
      Octet.isDigit(bytes[at &+ 7])
    else { return .invalidVersion }
    guard bytes[at &+ 5] == UInt8(ascii: "1"), bytes[at &+ 7] &- 0x30 <= 1 else { return .unsupportedVersion }
    isHTTP11 = bytes[at &+ 7] == UInt8(ascii: "1")
    return nil
  }

  private mutating func classifyMethod(_ bytes: UnsafePointer<UInt8>) {
    switch method.count {
    case 3: isIdempotent = memcmp(bytes, "GET", 3) == 0 || memcmp(bytes, "PUT", 3) == 0
    case 4:
      isHEAD = memcmp(bytes, "HEAD", 4) == 0
      isIdempotent = isHEAD
    case 5: isIdempotent = memcmp(bytes, "TRACE", 5) == 0
    case 6: isIdempotent = memcmp(bytes, "DELETE", 6) == 0
    case 7:
      isCONNECT = memcmp(bytes, "CONNECT", 7) == 0
      isIdempotent = memcmp(bytes, "OPTIONS", 7) == 0
    default: break
    }
  }

  private mutating func readTarget(_ bytes: UnsafePointer<UInt8>, _ fields: FramingFields) -> HTTPFault? {
    if let named = fields.host {
      for index in named.start..<named.end where !Octet.isHost(bytes[index]) { return .invalidHost }
      host = named
    } else if isHTTP11 {
      return .missingHost
    }
    path = target
    if isCONNECT {
      guard Self.isAuthority(bytes, target) else { return .invalidTarget }
      return compareHost(bytes, target, fields)
    }
    if bytes[target.start] == UInt8(ascii: "/") { return nil }
    if target.count == 1, bytes[target.start] == UInt8(ascii: "*") {
      return method.count == 7 && memcmp(bytes, "OPTIONS", 7) == 0 ? nil : .invalidTarget
    }
    return readAbsolute(bytes, fields)
  }

  private mutating func readAbsolute(_ bytes: UnsafePointer<UInt8>, _ fields: FramingFields) -> HTTPFault? {
    var scheme = 0
    if ByteRange(start: target.start, count: min(7, target.count)).equalsIgnoringCase("http://", in: bytes) {
      scheme = 7
    } else if ByteRange(start: target.start, count: min(8, target.count)).equalsIgnoringCase("https://", in: bytes) {
      scheme = 8
    } else {
      return .invalidTarget
    }
    var at = target.start &+ scheme
    let start = at
    while at < target.end, bytes[at] != UInt8(ascii: "/"), bytes[at] != UInt8(ascii: "?") {
      guard Octet.isHost(bytes[at]) else { return .invalidTarget }
      at &+= 1
    }
    let authority = ByteRange(start: start, count: at &- start)
    // A target without a path would be sent to the server as it stands and matched as something else.
    guard authority.count > 0, at < target.end, bytes[at] == UInt8(ascii: "/") else { return .invalidTarget }
    path = ByteRange(start: at, count: target.end &- at)
    return compareHost(bytes, authority, fields)
  }

  private mutating func compareHost(
    _ bytes: UnsafePointer<UInt8>, _ authority: ByteRange, _ fields: FramingFields
  ) -> HTTPFault? {
    guard fields.host != nil else {
      host = authority
      return nil
    }
    guard authority.count == host.count else { return .hostDiffersFromTarget }
    for index in 0..<host.count
    where Octet.lowercase(bytes[authority.start &+ index]) != Octet.lowercase(bytes[host.start &+ index]) {
      return .hostDiffersFromTarget
    }
    return nil
  }

  private static func isAuthority(_ bytes: UnsafePointer<UInt8>, _ range: ByteRange) -> Bool {
    var colon = range.end
    for index in range.start..<range.end {
      guard Octet.isHost(bytes[index]) else { return false }
      if bytes[index] == Octet.colon { colon = index }
    }
    guard colon > range.start, colon &+ 1 < range.end else { return false }
    for index in colon &+ 1..<range.end where !Octet.isDigit(bytes[index]) { return false }
    return true
  }

  private mutating func readFraming(
    _ bytes: UnsafePointer<UInt8>, _ fields: FramingFields, _ section: FieldSection
  ) -> HTTPFault? {
    if fields.isChunked {
      if !isHTTP11 { return .transferEncodingBefore11 }
      framing = .chunked
    } else if let count = fields.contentLength, count > 0 {
      framing = .length(count)
    }
    wantsClose = fields.saysClose || (!isHTTP11 && !fields.saysKeepAlive)
    expectsContinue = fields.expectsContinue && isHTTP11
    offersHTTP2 = fields.offersHTTP2
    wantsUpgrade = fields.hasUpgrade && fields.saysUpgrade && isHTTP11 && !offersHTTP2
    return nil
  }
}
