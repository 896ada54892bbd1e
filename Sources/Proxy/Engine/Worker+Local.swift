#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// The body of a 403, as users of this API know it.
  static let deniedBody: StaticString = "Access denied\r\n"

  /// 403, with the body that users of this API know.
  func respondDenied(_ c: ConnectionPointer, closes: Bool) {
    c.pointee.closesAfter = c.pointee.closesAfter || closes
    write(c, status: 403, phrase: "Forbidden", body: Self.deniedBody, end: "")
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
    if c.pointee.request == .paused { c.pointee.request = routed(c)?.isComplete == true ? .complete : .body }
    if c.pointee.request != .complete {
      c.pointee.request = .complete
      c.pointee.closesAfter = true
    }
    // What was not sent of the request must not be sent to the next server connection.
    c.pointee.client.start = c.pointee.client.validated
    if c.pointee.context.isCONNECT || c.pointee.context.wantsUpgrade { c.pointee.closesAfter = true }
    if let connection = routed(c) {
      connection.leave(failed: true)
      return respondRouted(c, status: status, reason: reason)
    }
    respond(c, status: status, reason: reason, closes: false)
  }

  static func phrase(_ status: Int) -> StaticString {
    switch status {
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 413: "Payload Too Large"
    case 414: "URI Too Long"
    case 418: "I'm a teapot"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
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
    var writer = HeadWriter(memory, capacity: Endpoint.capacity)
    writer.put("HTTP/1.1 ")
    writer.put(decimal: status)
    writer.put(" ")
    writer.put(phrase)
    writer.put("\r\ncontent-type: text/plain\r\ncontent-length: ")
    writer.put(decimal: body.utf8CodeUnitCount + end.utf8CodeUnitCount)
    if c.pointee.closesAfter || c.pointee.requestCloses { writer.put("\r\nconnection: close") }
    writer.put("\r\n\r\n")
    if !c.pointee.context.isHEAD {
      writer.put(body)
      writer.put(end)
    }
    c.pointee.upstream.validated = writer.count
    c.pointee.upstream.end = writer.count
    c.pointee.response = .complete
    c.pointee.statusCode = UInt16(truncatingIfNeeded: status)
  }
}
