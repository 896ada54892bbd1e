import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// Answers of the proxy's own to requests that are routed.
extension Worker {
  /// Answers the request in `head`, of which nothing has been sent on. A failure is the text of an answer that has none.
  func answer(
    _ c: ConnectionPointer, _ response: LocalResponse, _ edits: HeaderEdits = HeaderEdits(),
    failure: StaticString? = nil
  ) {
    instead(c) {
      c.pointee.failure = failure
      let body = response.body.isEmpty ? failure.map(Self.line) ?? [] : response.body
      write(c, status: Int(response.status), location: response.location, body: body[...], edits)
    }
  }

  /// As above, for a request that has no route yet.
  func answer(_ c: ConnectionPointer, status: UInt16, failure: StaticString) {
    answer(c, .failure(status: status), failure: failure)
  }

  /// Answers the request in `head`, which has a route and could not be sent on, and says why.
  func answerRouted(_ c: ConnectionPointer, status: Int, reason: StaticString) {
    instead(c) { respondRouted(c, status: status, reason: reason) }
  }

  /// The 403 of a policy to the request in `head`, which has a route.
  func refuseRouted(_ c: ConnectionPointer) {
    instead(c) { respondRouted(c, status: 403, body: Self.octets(Self.deniedBody)) }
  }

  private func instead(_ c: ConnectionPointer, _ write: () -> Void) {
    if routed(c)?.server == nil { counters.answered.add() }
    if passOver(c) { c.pointee.closesAfter = true }
    write()
    c.pointee.request = head.framing == .none || c.pointee.closesAfter ? .complete : .discard
  }

  /// An answer in the place of the server's, with the edits of the route. Nothing of the server's may have been sent.
  func respondRouted(_ c: ConnectionPointer, status: Int, reason: StaticString) {
    c.pointee.failure = reason
    respondRouted(c, status: status, body: Self.line(reason))
  }

  private func respondRouted(_ c: ConnectionPointer, status: Int, body: [UInt8]) {
    var edits = HeaderEdits()
    if let connection = routed(c), connection.changesResponses {
      edits = withRequest(c, connection) { request in
        connection.edits(request, to: .failure(status: UInt16(truncatingIfNeeded: status)))
      }
    }
    write(c, status: status, location: nil, body: body[...], edits)
  }

  private static func line(_ text: StaticString) -> [UInt8] { octets(text) + [Octet.lineFeed] }

  private static func octets(_ text: StaticString) -> [UInt8] {
    Array(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Puts a response where those of the server stand, so that it takes the same way to the client.
  private func write(
    _ c: ConnectionPointer, status: Int, location: [UInt8]?, body: ArraySlice<UInt8>, _ edits: HeaderEdits
  ) {
    release(&c.pointee.upstream)
    guard let memory = room(&c.pointee.upstream, upstreamScratch) else { return }
    var writer = HeadWriter(memory, capacity: Endpoint.capacity)
    writer.put("HTTP/1.1 ")
    writer.put(decimal: status)
    writer.put(" ")
    writer.put(Self.phrase(status))
    writer.put("\r\n")
    if let location, !edits.removed.contains("location") {
      writer.put("location: ")
      writer.put(location)
      writer.put("\r\n")
    }
    let hasBody = status != 204 && status != 304
    if hasBody {
      if !body.isEmpty, !edits.added.contains(where: { $0.name == "content-type" }) {
        writer.put("content-type: text/plain\r\n")
      }
      writer.put("content-length: ")
      writer.put(decimal: body.count)
      writer.put("\r\n")
    }
    writer.putAdded(edits)
    if c.pointee.closesAfter || c.pointee.requestCloses { writer.put("connection: close\r\n") }
    writer.put("\r\n")
    if let connection = routed(c) { observeResponse(memory, writer.count, connection) }
    guard !writer.hasOverflown else {
      return respond(c, status: 500, reason: "the head of the route's answer is too large", closes: true)
    }
    let sends = hasBody && !c.pointee.context.isHEAD
    let first = sends ? body.prefix(writer.room) : []
    writer.put(first)
    c.pointee.upstream.validated = writer.count
    c.pointee.upstream.end = writer.count
    c.pointee.statusCode = UInt16(truncatingIfNeeded: status)
    let rest = sends ? body.dropFirst(first.count) : []
    c.pointee.response = rest.isEmpty ? .complete : .local
    guard let connection = routed(c) else { return }
    connection.answer = rest
    connection.notes.ownBody = sends ? body.count : 0
    leaveUnsent(c, connection)
  }

  /// Puts the next part of a long answer into the buffer, which is empty.
  func continueAnswer(_ c: ConnectionPointer) -> Step {
    guard let connection = routed(c), let memory = room(&c.pointee.upstream, upstreamScratch) else {
      abort(c, resets: true)
      return .blocked
    }
    let next = connection.answer.prefix(Endpoint.capacity)
    var writer = HeadWriter(memory, capacity: Endpoint.capacity)
    writer.put(next)
    c.pointee.upstream.validated = writer.count
    c.pointee.upstream.end = writer.count
    connection.answer = connection.answer.dropFirst(next.count)
    if connection.answer.isEmpty { c.pointee.response = .complete }
    return .moved
  }
}
