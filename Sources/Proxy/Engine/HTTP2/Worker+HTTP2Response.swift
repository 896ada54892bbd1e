import HTTP2

extension Worker {
  /// Takes the section in `work.list` for what the server says on a stream.
  func takeResponse(
    _ session: SessionPointer, _ work: HTTP2Work, _ number: UInt32, octets: Int, endStream: Bool
  ) {
    let server = session.pointee.side(.server)
    guard let stream = session.pointee.stream(number, .server) else {
      if isIdle(session, .server, number) { fail(session, .server, .frameOnIdleStream) }
      return
    }
    if stream.pointee.hasHead {
      return takeTrailers(session, .server, work, stream, octets: octets, endStream: endStream)
    }
    if work.list.isTooLarge { return fail(session, .server, stream, .headerBlockTooLarge) }
    var fields = ResponseFields()
    if let fault = fields.read(work.list) { return fail(session, .server, stream, fault) }
    stream.pointee.activeAt = now
    count(stream, .server, octets)
    if fields.isInterim {
      if endStream { return fail(session, .server, stream, .unendedTrailers) }
      guard spend(session, .server) else { return }
      if stream.pointee.exchange != nil { return takeHead(work, stream, fields, endStream: false) }
      counters.responses1xx.add()
      return pass(session, stream, to: .client, &work.list, endStream: false)
    }
    server.pointee.idleFrames.earn(4)
    let leg = stream.pointee.leg(.server)
    if let fault = leg.pointee.state.receive(.headers, endStream: endStream) {
      return fail(session, .server, stream, fault)
    }
    leg.pointee.length = fields.length
    if stream.pointee.isHEAD || fields.status == 304 { leg.pointee.length.ignore() }
    if endStream, let fault = leg.pointee.length.take(0, isLast: true) {
      return fail(session, .server, stream, fault)
    }
    leg.pointee.hasEnded = endStream
    stream.pointee.hasHead = true
    if stream.pointee.exchange != nil { return takeHead(work, stream, fields, endStream: endStream) }
    stream.pointee.statusCode = UInt16(truncatingIfNeeded: fields.status)
    pass(session, stream, to: .client, &work.list, endStream: endStream)
  }

  // MARK: Answers of the proxy's own

  /// An answer with the reason as its body; to be given before any of a response was sent.
  func answer(_ session: SessionPointer, _ stream: StreamPointer, status: Int, reason: StaticString) {
    stream.pointee.failure = reason
    answer(session, stream, status: status, body: reason, end: "\n")
  }

  func answer(_ session: SessionPointer, _ stream: StreamPointer, status: Int, body: StaticString, end: StaticString) {
    let work = http2Work()
    dropQueue(session, stream, from: .client)
    dropQueue(session, stream, from: .server)
    session.pointee.setServerNumber(stream, 0)
    stream.pointee.isAnswered = true
    stream.pointee.hasHead = true
    stream.pointee.statusCode = UInt16(truncatingIfNeeded: status)
    let length = body.utf8CodeUnitCount + end.utf8CodeUnitCount
    work.answer.removeAll()
    Self.withDecimal(status) { work.answer.add(Self.view(":status"), $0, indexing: .indexed) }
    work.answer.add(Self.view("content-type"), Self.view("text/plain"), indexing: .indexed)
    Self.withDecimal(length) { work.answer.add(Self.view("content-length"), $0) }
    let hasBody = !stream.pointee.isHEAD
    pass(session, stream, to: .client, &work.answer, endStream: !hasBody)
    guard hasBody else { return }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length) { memory in
      guard let base = memory.baseAddress else { return }
      base.update(from: body.utf8Start, count: body.utf8CodeUnitCount)
      (base + body.utf8CodeUnitCount).update(from: end.utf8Start, count: end.utf8CodeUnitCount)
      stream.pointee.leg(.server).pointee.hasEnded = true
      deliver(session, stream, from: .server, base, length)
    }
  }

  private static func view(_ text: StaticString) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }

  private static func withDecimal(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { memory in
      guard let base = memory.baseAddress else { return }
      var writer = HeadWriter(base, capacity: 20)
      writer.put(decimal: number)
      body(UnsafeRawBufferPointer(start: base, count: writer.count))
    }
  }
}
