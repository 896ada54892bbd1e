import HTTP2

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// What comes on a carried stream, as HTTP/1. Fields were checked as RFC 9113 wants it, so that no octet of theirs can move a
// boundary; what they say about the connection has been refused with the message.
extension Worker {
  /// Memory for a head that is written while a session reads: the scratch of the side that it does not have.
  private func headScratch(_ stream: StreamPointer) -> UnsafeMutablePointer<UInt8> {
    stream.pointee.role == .client ? upstreamScratch : clientScratch
  }

  /// Takes the request in `work.list`.
  /// - Returns: false when it is too large.
  func takeHead(_ work: HTTP2Work, _ stream: StreamPointer, _ fields: RequestFields, endStream: Bool) -> Bool {
    let scratch = headScratch(stream)
    var writer = HeadWriter(scratch, capacity: Endpoint.capacity)
    writer.put(work.list.value(fields.method))
    writer.put(" ")
    writer.put(work.list.value(fields.isCONNECT ? fields.authority : fields.path))
    writer.put(" HTTP/1.1\r\nhost: ")
    writer.put(work.list.value(fields.authority))
    writer.put("\r\n")
    var cookies = 0
    for index in fields.firstField..<work.list.count where !work.list.isNamed(index, "host") {
      if work.list.isNamed(index, "cookie") {
        cookies &+= 1
      } else {
        writer.put(field: index, of: work.list)
      }
    }
    if cookies > 0 { putCookies(&writer, work.list, from: fields.firstField) }
    if endStream {
      stream.pointee.input.framing = .none
    } else if fields.length.isKnown {
      stream.pointee.input.framing = .length
    } else {
      stream.pointee.input.framing = .chunked
      writer.put("transfer-encoding: chunked\r\n")
    }
    writer.put("\r\n")
    return keepHead(stream, writer, scratch)
  }

  /// One field, whatever lines it came in (RFC 9113, 8.2.3).
  private func putCookies(_ writer: inout HeadWriter, _ list: HeaderList, from first: Int) {
    var isFirst = true
    for index in first..<list.count where list.isNamed(index, "cookie") {
      writer.put(isFirst ? "cookie: " : "; ")
      writer.put(list.value(index))
      isFirst = false
    }
    writer.put("\r\n")
  }

  /// Takes the response in `work.list`, interim or final.
  func takeHead(_ work: HTTP2Work, _ stream: StreamPointer, _ fields: ResponseFields, endStream: Bool) {
    guard let session = stream.pointee.connection.pointee.http2 else { return }
    let scratch = headScratch(stream)
    var writer = HeadWriter(scratch, capacity: Endpoint.capacity)
    writer.put("HTTP/1.1 ")
    writer.put(decimal: fields.status)
    writer.put(" ")
    writer.put(Self.phrase(fields.status))
    writer.put("\r\n")
    for index in 1..<work.list.count { writer.put(field: index, of: work.list) }
    if !fields.isInterim { putFraming(&writer, stream, fields) }
    writer.put("\r\n")
    guard keepHead(stream, writer, scratch) else { return fail(session, .server, stream, .headerBlockTooLarge) }
    wakeToRead(stream)
  }

  private func putFraming(_ writer: inout HeadWriter, _ stream: StreamPointer, _ fields: ResponseFields) {
    if stream.pointee.isHEAD || fields.status == 204 || fields.status == 304 {
      stream.pointee.input.framing = .none
    } else if fields.length.isKnown {
      stream.pointee.input.framing = .length
    } else if stream.pointee.output.isHTTP10 {
      stream.pointee.input.framing = .untilClose
      writer.put("connection: close\r\n")
    } else {
      // Also of a response that is over: nothing is added that says so.
      stream.pointee.input.framing = .chunked
      writer.put("transfer-encoding: chunked\r\n")
    }
  }

  private func keepHead(_ stream: StreamPointer, _ writer: HeadWriter, _ bytes: UnsafePointer<UInt8>) -> Bool {
    let leg = stream.pointee.leg(stream.pointee.role)
    guard !writer.hasOverflown, leg.pointee.queue.add(bytes, writer.count, &http2Work().chunks) else { return false }
    stream.pointee.input.head &+= writer.count
    return true
  }

  /// Takes octets of a body.
  func take(_ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
    let leg = stream.pointee.leg(stream.pointee.role)
    guard count == 0 || leg.pointee.queue.add(bytes, count, &http2Work().chunks) else {
      return fail(session, stream.pointee.role, stream, .windowExceeded)
    }
    wakeToRead(stream)
  }

  // MARK: Reading

  /// As recv(2) from a socket on which the message came as HTTP/1.
  func receive(
    _ stream: StreamPointer, _ side: inout Endpoint, _ memory: UnsafeMutablePointer<UInt8>
  ) -> Endpoint.Receipt {
    let leg = stream.pointee.leg(stream.pointee.role)
    if stream.pointee.input.isOver, stream.pointee.input.framing == .untilClose {
      side.isReadable = false
      side.hasEnded = true
      return .ended
    }
    var writer = HeadWriter(memory + side.end, capacity: Endpoint.capacity &- side.end)
    read(stream, &writer)
    side.end &+= writer.count
    let isOver = stream.pointee.input.isOver
    let endsNow = isOver && stream.pointee.input.framing == .untilClose
    let hasFailed = stream.pointee.input.failure != 0 && !leg.pointee.hasEnded
    if hasFailed, leg.pointee.queue.count == 0, writer.count == 0 {
      side.isReadable = false
      side.hasEnded = true
      side.failure = stream.pointee.input.failure
      return .failed
    }
    side.isReadable = leg.pointee.queue.count > 0 || leg.pointee.hasEnded && !isOver || endsNow || hasFailed
    return writer.count > 0 || endsNow ? .octets : .nothing
  }

  private func read(_ stream: StreamPointer, _ writer: inout HeadWriter) {
    let leg = stream.pointee.leg(stream.pointee.role)
    let head = min(stream.pointee.input.head, writer.room)
    move(head, leg, &writer)
    stream.pointee.input.head &-= head
    guard stream.pointee.input.head == 0, !stream.pointee.input.isOver else { return }
    let waiting = leg.pointee.queue.count
    switch stream.pointee.input.framing {
    case .none:
      // What a response has that may not have a body.
      leg.pointee.queue.dropAll(&http2Work().chunks)
      giveBack(stream, waiting)
    case .length, .untilClose:
      let count = min(waiting, writer.room)
      move(count, leg, &writer)
      giveBack(stream, count)
    case .chunked:
      let count = min(waiting, writer.room &- Self.chunkOverhead)
      if count > 0 {
        writer.put(hexadecimal: count)
        writer.put("\r\n")
        move(count, leg, &writer)
        writer.put("\r\n")
        giveBack(stream, count)
      }
    }
    if leg.pointee.hasEnded, leg.pointee.queue.count == 0 { readEnd(stream, leg, &writer) }
  }

  /// Around a chunk that fits into a buffer: its size and two ends of lines.
  private static let chunkOverhead = 12

  private func readEnd(
    _ stream: StreamPointer, _ leg: UnsafeMutablePointer<HTTP2Leg>, _ writer: inout HeadWriter
  ) {
    let work = http2Work()
    work.list.removeAll()
    if let memory = leg.pointee.trailers { work.list.restore(from: memory) }
    if stream.pointee.input.framing == .chunked {
      // A field counts for 32 octets more than it has, and has four more here.
      guard work.list.size &- 28 &* work.list.count &+ 5 <= writer.room else { return }
      writer.put("0\r\n")
      for index in 0..<work.list.count { writer.put(field: index, of: work.list) }
      writer.put("\r\n")
    }
    // Behind a body of a length there is no place for them.
    if let memory = leg.pointee.trailers { buffers.give(memory) }
    leg.pointee.trailers = nil
    stream.pointee.input.isOver = true
  }

  private func move(_ count: Int, _ leg: UnsafeMutablePointer<HTTP2Leg>, _ writer: inout HeadWriter) {
    var left = count
    while left > 0 {
      let front = leg.pointee.queue.front
      let part = min(front.count, left)
      writer.put(front.baseAddress, part)
      leg.pointee.queue.drop(part, &http2Work().chunks)
      left &-= part
    }
  }

  /// Lets the peer send as much more as was read.
  private func giveBack(_ stream: StreamPointer, _ count: Int) {
    guard count > 0, stream.pointee.place >= 0, let session = stream.pointee.connection.pointee.http2 else { return }
    let side = session.pointee.side(stream.pointee.role)
    let before = side.pointee.outEnd
    giveBack(session, stream, stream.pointee.role, count)
    if side.pointee.outEnd != before { enqueue(stream.pointee.connection) }
  }
}

extension HeadWriter {
  mutating func put(_ text: UnsafeRawBufferPointer) {
    put(text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count)
  }

  /// The line of a field.
  mutating func put(field index: Int, of list: HeaderList) {
    put(list.name(index))
    put(": ")
    put(list.value(index))
    put("\r\n")
  }

  mutating func put(hexadecimal number: Int) {
    var shift = 0
    while number >> shift >= 16 { shift &+= 4 }
    while shift >= 0 {
      let value = UInt8(truncatingIfNeeded: number >> shift & 15)
      var digit = value < 10 ? value &+ 0x30 : value &+ 0x57
      put(&digit, 1)
      shift &-= 4
    }
  }
}
