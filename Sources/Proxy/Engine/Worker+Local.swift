#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// 403, with the body that users of this API know.
  func respondDenied(_ c: ConnectionPointer, closes: Bool) {
    c.pointee.closesAfter = c.pointee.closesAfter || closes
    write(c, status: 403, phrase: "Forbidden", body: "Access denied\r\n", end: "")
  }

  /// A response of the proxy itself. Nothing of a response may have been sent to the client before.
  func respond(_ c: ConnectionPointer, status: Int, reason: StaticString, closes: Bool) {
    c.pointee.closesAfter = c.pointee.closesAfter || closes
    c.pointee.failure = reason
    write(c, status: status, phrase: Self.phrase(status), body: reason, end: "\n")
  }

  /// The server's side is of no more use for this exchange.
  func failUpstream(_ c: ConnectionPointer, status: Int, reason: StaticString) {
    closeUpstream(c)
    if c.pointee.request != .complete {
      c.pointee.request = .complete
      c.pointee.closesAfter = true
    }
    // What was not sent of the request must not be sent to the next server connection.
    c.pointee.client.start = c.pointee.client.validated
    if c.pointee.context.isCONNECT || c.pointee.context.wantsUpgrade { c.pointee.closesAfter = true }
    respond(c, status: status, reason: reason, closes: false)
  }

  private static func phrase(_ status: Int) -> StaticString {
    switch status {
    case 400: "Bad Request"
    case 408: "Request Timeout"
    case 414: "URI Too Long"
    case 431: "Request Header Fields Too Large"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Error"
    }
  }

  /// Puts a whole response where those of the server stand, so that it takes the same way to the client.
  private func write(
    _ c: ConnectionPointer, status: Int, phrase: StaticString, body: StaticString, end: StaticString
  ) {
    release(&c.pointee.upstream)
    guard let memory = room(&c.pointee.upstream, upstreamScratch) else { return }
    var at = 0
    func put(_ text: StaticString) {
      memcpy(memory + at, text.utf8Start, text.utf8CodeUnitCount)
      at += text.utf8CodeUnitCount
    }
    func put(_ number: Int) {
      var divisor = 1
      while number / divisor >= 10 { divisor *= 10 }
      while divisor > 0 {
        memory[at] = UInt8(truncatingIfNeeded: number / divisor % 10 + 0x30)
        at += 1
        divisor /= 10
      }
    }
    put("HTTP/1.1 ")
    put(status)
    put(" ")
    put(phrase)
    put("\r\ncontent-type: text/plain\r\ncontent-length: ")
    put(body.utf8CodeUnitCount + end.utf8CodeUnitCount)
    if c.pointee.closesAfter || c.pointee.requestCloses { put("\r\nconnection: close") }
    put("\r\n\r\n")
    if !c.pointee.context.isHEAD {
      put(body)
      put(end)
    }
    c.pointee.upstream.validated = at
    c.pointee.upstream.end = at
    c.pointee.response = .complete
    c.pointee.statusCode = UInt16(truncatingIfNeeded: status)
  }
}
