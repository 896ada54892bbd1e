import HTTP2

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// Streams that stand in the place of a socket. The engine of routed requests reads HTTP/1 from them and sends HTTP/1 to them,
// whoever speaks what: what it does holds for both, and is written once.
//
// A session and the connections that it carries never act while the other does: a session leaves octets and ends where the
// connection finds them, a connection leaves frames in the session's output, and each has the other take its turn in the queue.
extension Worker {
  /// Begins to serve the request in `work.list`.
  func carry(
    _ session: SessionPointer, _ work: HTTP2Work, _ stream: StreamPointer, _ fields: RequestFields, endStream: Bool
  ) {
    guard isStillRouted(session) else {
      // A new connection goes where its client means it to go.
      reset(session, .client, stream, .refusedStream)
      end(session, stream, isAborted: true)
      return goAway(session, last: session.pointee.side(.client).pointee.lastStream)
    }
    guard takeHead(work, stream, fields, endStream: endStream) else {
      counters.malformed.add()
      return answer(session, stream, status: 431, reason: HTTPFault.headTooLarge.reason)
    }
    let carrier = session.pointee.connection
    var exchange = Connection(
      client: -1, clientAddress: carrier.pointee.clientAddress, serverAddress: carrier.pointee.serverAddress, now: now)
    exchange.policy = carrier.pointee.policy
    exchange.isResolved = true
    exchange.generation = tableVersion
    exchange.client.stream = stream
    stream.pointee.exchange = connections.add(exchange)
    wakeToRead(stream)
  }

  /// Finds the client's listener anew when the policy has changed.
  private func isStillRouted(_ session: SessionPointer) -> Bool {
    let c = session.pointee.connection
    guard c.pointee.policy.revision != shared.resolver.revision else { return true }
    let found = shared.resolver.resolve(
      client: c.pointee.clientAddress, server: c.pointee.serverAddress, transport: .tcp)
    guard let found, found.listener != 0 else { return false }
    adopt(found, c)
    return true
  }

  /// There is something to be read on a stream, or its end.
  func wakeToRead(_ stream: StreamPointer) {
    guard let c = stream.pointee.exchange else { return }
    if stream.pointee.role == .client {
      c.pointee.client.isReadable = true
    } else {
      c.pointee.upstream.isReadable = true
    }
    enqueue(c)
  }

  /// The handshake of a session's connection is over.
  func noteConnected(_ session: SessionPointer) {
    session.pointee.connection.pointee.isConnected = true
    guard session.pointee.carried != nil else { return }
    for index in 0..<session.pointee.count {
      session.pointee.streams[index].pointee.exchange?.pointee.isConnected = true
    }
  }

  // MARK: Ends

  /// The server needs nothing more of a stream, or wants nothing of it.
  func takeReset(_ session: SessionPointer, _ stream: StreamPointer, code: UInt32) {
    guard let c = stream.pointee.exchange else { return }
    if stream.pointee.leg(.server).pointee.hasEnded {
      // The response is whole; only the rest of the request is not wanted.
      c.pointee.upstream.isHangingUp = true
      return wakeToRead(stream)
    }
    if code == HTTP2ErrorCode.refusedStream.rawValue { c.pointee.upstream.isRefused = true }
    cut(session, stream)
  }

  /// The server looks at no stream above `last`.
  func refuseStreams(_ session: SessionPointer, above last: UInt32) {
    session.pointee.lastServed = last
    http2Work().pool.remove(session.pointee.connection, key(session.pointee.connection))
    var index = session.pointee.count
    while index > 0 {
      index &-= 1
      let stream = session.pointee.streams[index]
      let number = stream.pointee.leg(.server).pointee.number
      guard number == 0 || number > last, let c = stream.pointee.exchange else { continue }
      if number == 0 {
        // Nothing was sent, so it goes elsewhere.
        c.pointee.upstreamRequests &+= 1
      } else {
        c.pointee.upstream.isRefused = true
      }
      cut(session, stream)
    }
  }

  /// A stream is over for its session. Its connection learns of it.
  func cut(_ session: SessionPointer, _ stream: StreamPointer) {
    guard let c = stream.pointee.exchange else { return }
    unlink(session, stream)
    guard stream.pointee.role == .server else {
      if c.pointee.failure == nil { c.pointee.failure = stream.pointee.failure }
      return abort(c, resets: false)
    }
    // What has come of the response is read first.
    let failure = session.pointee.connection.pointee.upstream.failure
    stream.pointee.input.failure = failure == 0 ? ECONNRESET : failure
    wakeToRead(stream)
  }

  private func unlink(_ session: SessionPointer, _ stream: StreamPointer) {
    let waiting = stream.pointee.leg(stream.pointee.role).pointee.queue.count &- stream.pointee.input.head
    if waiting > 0 { giveBack(session, nil, stream.pointee.role, waiting) }
    if stream.pointee.output.isBlocked { session.pointee.blockedCount &-= 1 }
    stream.pointee.output.isBlocked = false
    session.pointee.remove(stream)
    stream.pointee.place = -1
  }

  /// The response was sent, whose end is that of its exchange.
  func endOutput(_ stream: StreamPointer) {
    guard stream.pointee.output.part == .octets, stream.pointee.output.isUntilClose, stream.pointee.place >= 0,
      let session = stream.pointee.connection.pointee.http2
    else { return }
    stream.pointee.output.part = .over
    writeData(session, stream, noOctets, 0, endStream: true)
  }

  /// Something to point at where there are no octets.
  private var noOctets: UnsafePointer<UInt8> { UnsafePointer(clientScratch) }

  /// A connection is done with its stream, which ends here where it has not ended yet.
  func leave(_ stream: StreamPointer) {
    let role = stream.pointee.role
    let leg = stream.pointee.leg(role)
    let carrier = stream.pointee.connection
    if stream.pointee.place >= 0, let session = carrier.pointee.http2 {
      if leg.pointee.state != .closed {
        let isWhole = role == .client ? stream.pointee.output.part == .over : leg.pointee.hasEnded
        // What a client has still to send need not be sent (RFC 9113, 8.1); a server is to stop.
        reset(session, role, stream, isWhole ? .noError : role == .client ? .internalError : .cancel)
      }
      unlink(session, stream)
      enqueue(carrier)
      // Nobody else waits for it, and it may never come about.
      if role == .server, session.pointee.count == 0, !carrier.pointee.isConnected { closeConnection(carrier) }
    }
    leg.pointee.queue.dropAll(&http2Work().chunks)
    if let memory = leg.pointee.trailers { buffers.give(memory) }
    if let memory = stream.pointee.output.trailers { buffers.give(memory) }
    leg.pointee.trailers = nil
    stream.pointee.output.trailers = nil
    stream.pointee.exchange = nil
    http2Work().recycle(stream)
  }
}
