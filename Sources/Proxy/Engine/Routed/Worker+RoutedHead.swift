import ProxyRules
import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// Makes the head in `head`, at `bytes`, the one that goes to an endpoint, and reads it again.
  /// - Returns: where it stands now; nil when the request was answered instead.
  func rewriteHead(
    _ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>, _ connection: RoutedConnection,
    _ endpoint: RoutedEndpoint
  ) -> UnsafeMutablePointer<UInt8>? {
    guard let work = routing, let choice = connection.choice, var forwarding = connection.forwarding else { return nil }
    if forwarding.usesEndpointName {
      let request = RequestView(requestFacts(bytes), connection: connection.facts)
      forwarding = choice.forwarding(
        forwarding, toEndpoint: endpoint.hostname, request,
        marksOriginal: connection.listener?.manager.marksOriginal ?? true)
    }
    let dropsClose = mayDropClose(c, bytes)
    c.pointee.hasRemovedClose = dropsClose
    let dropsUpgrade = head.offersHTTP2
    guard
      dropsClose || dropsUpgrade || forwarding.path != nil || forwarding.authority != nil || !forwarding.headers.isEmpty
    else { return bytes }
    var writer = HeadWriter(work.scratch, capacity: RoutingWork.scratchSize)
    putRequestLine(&writer, bytes, forwarding)
    for line in fields.lines {
      if forwarding.authority != nil, line.name.equalsIgnoringCase("host", in: bytes) { continue }
      if dropsUpgrade, line.name.equalsIgnoringCase("upgrade", in: bytes) { continue }
      if dropsClose, line.name.equalsIgnoringCase("connection", in: bytes) { continue }
      if !forwarding.headers.removes(line.name, in: bytes) { writer.put(line: line, of: bytes) }
    }
    writer.putAdded(forwarding.headers)
    writer.put("\r\n")
    guard !writer.hasOverflown, c.pointee.client.replaceHead(head.length, by: work.scratch, writer.count) else {
      answerRouted(c, status: 431, reason: HTTPFault.headTooLarge.reason)
      return nil
    }
    return readAgain(c, writer.count)
  }

  /// Reads the head again that was rewritten: rules judge what is sent. A route can not make of one request another.
  private func readAgain(_ c: ConnectionPointer, _ length: Int) -> UnsafeMutablePointer<UInt8>? {
    guard let base = c.pointee.client.base else { return nil }
    let bytes = base + c.pointee.client.validated
    let framing = head.framing
    let wantsUpgrade = head.wantsUpgrade
    guard head.parse(bytes, length: length, fields: &fields) == nil, head.framing == framing else {
      c.pointee.closesAfter = true
      head.framing = framing
      answerRouted(c, status: 500, reason: "the route makes the request malformed")
      return nil
    }
    c.pointee.context.wantsUpgrade = wantsUpgrade && head.wantsUpgrade
    return bytes
  }

  private func putRequestLine(
    _ writer: inout HeadWriter, _ bytes: UnsafePointer<UInt8>, _ forwarding: Forwarding
  ) {
    writer.put(head.method, of: bytes)
    writer.put(" ")
    if let path = forwarding.path {
      writer.put(path)
    } else {
      // A target that names the authority would contradict the new one.
      writer.put(forwarding.authority == nil ? head.target : head.path, of: bytes)
    }
    writer.put(head.isHTTP11 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n")
    if let authority = forwarding.authority {
      writer.put("host: ")
      writer.put(authority)
      writer.put("\r\n")
    }
  }

  /// Whether the client's `Connection: close` is all that its field says, and stays between it and the proxy.
  private func mayDropClose(_ c: ConnectionPointer, _ bytes: UnsafePointer<UInt8>) -> Bool {
    guard head.wantsClose, head.isHTTP11, !c.pointee.isPrivate, !isDraining, shared.timeouts.upstreamIdle > .zero else {
      return false
    }
    return closeLine(bytes) != nil
  }

  /// Makes the head of the response, in `responseHead`, the one that goes to the client.
  /// - Returns: false when the client gets another answer instead.
  func rewriteResponse(_ c: ConnectionPointer, _ connection: RoutedConnection, _ choice: RouteChoice) -> Bool {
    guard let work = routing, let base = c.pointee.upstream.base else { return true }
    let bytes = base + c.pointee.upstream.validated
    let headers = fields.facts(bytes, facts)
    let status = UInt16(truncatingIfNeeded: responseHead.status)
    var edits = HeaderEdits()
    if connection.changesResponses {
      edits = withRequest(c, connection) { request in
        choice.responseEdits(
          request, forwarding: connection.forwarding, status: status, headers: headers, filters: connection.filters)
      }
    }
    guard !edits.isEmpty || !connection.cookies.isEmpty else { return true }
    var writer = HeadWriter(work.scratch, capacity: RoutingWork.scratchSize)
    let lines = fields.lines
    writer.put(bytes, lines.isEmpty ? responseHead.length &- 2 : lines[0].name.start)
    for line in lines where !edits.removes(line.name, in: bytes) { writer.put(line: line, of: bytes) }
    writer.putAdded(edits)
    for cookie in connection.cookies {
      writer.put("set-cookie: ")
      writer.put(cookie)
      writer.put("\r\n")
    }
    writer.put("\r\n")
    guard !writer.hasOverflown, c.pointee.upstream.replaceHead(responseHead.length, by: work.scratch, writer.count)
    else {
      failUpstream(c, status: 502, reason: HTTPFault.headTooLarge.reason)
      return false
    }
    responseHead.length = writer.count
    return true
  }

  /// Calls `body` with the request as the client sent it, whose octets have long been sent on. Where its head was too large
  /// to be kept, it has no headers.
  func withRequest<Result>(
    _ c: ConnectionPointer, _ connection: RoutedConnection, _ body: (RequestView) -> Result
  ) -> Result {
    let length = connection.held.headLength
    if let work = routing, let bytes = connection.held.isInBlock ? c.pointee.block : connection.held.buffer,
      work.head.parse(bytes, length: length, fields: &work.fields) == nil
    {
      return body(RequestView(work.head.facts(bytes, work.fields, work.facts), connection: connection.facts))
    }
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    let facts = HTTPRequestFacts(
      method: nothing, path: nothing, host: nil, headers: UnsafeBufferPointer(start: nil, count: 0))
    return body(RequestView(facts, connection: connection.facts))
  }
}
