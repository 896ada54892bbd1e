import HTTP2

// How streams and sessions end.
extension Worker {
  /// HEADERS or DATA went to a side.
  func sent(_ session: SessionPointer, _ stream: StreamPointer, to role: Role, endStream: Bool) {
    stream.pointee.leg(role).pointee.state.send(endStream: endStream)
    if endStream { finishIfDone(session, stream) }
  }

  func finishIfDone(_ session: SessionPointer, _ stream: StreamPointer) {
    // What is carried ends when its connection leaves it.
    guard stream.pointee.exchange == nil else { return }
    let client = stream.pointee.leg(.client)
    switch client.pointee.state {
    case .closed:
      let server = stream.pointee.leg(.server)
      guard server.pointee.state == .closed || server.pointee.number == 0 else { return }
    case .halfClosedLocal where stream.pointee.isAnswered:
      // It need not send the rest of its request (RFC 9113, 8.1).
      reset(session, .client, stream, .noError)
    default: return
    }
    end(session, stream, isAborted: false)
  }

  /// Sends RST_STREAM for a stream that ends here.
  func reset(_ session: SessionPointer, _ role: Role, _ stream: StreamPointer, _ code: HTTP2ErrorCode) {
    reset(session, role, stream, code: code.rawValue)
  }

  private func reset(_ session: SessionPointer, _ role: Role, _ stream: StreamPointer, code: UInt32) {
    let number = stream.pointee.leg(role).pointee.number
    guard number != 0 else { return }
    stream.pointee.leg(role).pointee.state = .closed
    if role == .client { session.pointee.noteReset(number) }
    write(session, role) { $0.putReset(stream: number, code: code) }
  }

  /// A stream of the client's is not taken, or is over.
  func refuse(_ session: SessionPointer, _ number: UInt32, _ fault: HTTP2Fault) {
    session.pointee.noteReset(number)
    write(session, .client) { $0.putReset(stream: number, code: fault.code.rawValue) }
    spendReset(session)
  }

  private func spendReset(_ session: SessionPointer) {
    if !session.pointee.resets.spend(now: now) { fail(session, .client, .tooManyResets) }
  }

  /// What came on a stream from a side is no good.
  func fail(_ session: SessionPointer, _ role: Role, _ stream: StreamPointer, _ fault: HTTP2Fault) {
    reset(session, role, stream, fault.code)
    if role == .server, stream.pointee.exchange == nil, !stream.pointee.hasHead {
      return answer(session, stream, status: 502, reason: fault.reason)
    }
    stream.pointee.failure = fault.reason
    if stream.pointee.leg(role.other).pointee.state != .closed {
      reset(session, role.other, stream, role == .client ? .cancel : .internalError)
    }
    end(session, stream, isAborted: true)
    if role == .client { spendReset(session) }
  }

  /// What came from a side makes its connection useless.
  func fail(_ session: SessionPointer, _ role: Role, _ fault: HTTP2Fault) {
    guard !session.pointee.isClosing else { return }
    if role == .server { return lose(session, status: 502, reason: fault.reason) }
    counters.malformed.add()
    let last = session.pointee.side(.client).pointee.lastStream
    for index in 0..<session.pointee.count { session.pointee.streams[index].pointee.failure = fault.reason }
    write(session, .client) { $0.putGoAway(lastStream: last, code: fault.code, reason: fault.reason) }
    session.pointee.isClosing = true
  }

  func takeReset(_ session: SessionPointer, _ role: Role, _ number: UInt32, code: UInt32) {
    guard let stream = session.pointee.stream(number, role) else {
      if isIdle(session, role, number) { return fail(session, role, .frameOnIdleStream) }
      _ = spend(session, role)
      return
    }
    stream.pointee.leg(role).pointee.state = .closed
    if role == .server, stream.pointee.exchange != nil { return takeReset(session, stream, code: code) }
    if role == .server, code == HTTP2ErrorCode.noError.rawValue, stream.pointee.leg(.server).pointee.hasEnded {
      // The response is whole; only the rest of the request is not wanted.
      stream.pointee.isAnswered = true
      dropQueue(session, stream, from: .client)
      return finishIfDone(session, stream)
    }
    if role == .server { stream.pointee.failure = "the server reset the stream" }
    if stream.pointee.leg(role.other).pointee.state != .closed { reset(session, role.other, stream, code: code) }
    end(session, stream, isAborted: true)
    if role == .client { spendReset(session) }
  }

  /// Takes a stream out and tells of it.
  func end(_ session: SessionPointer, _ stream: StreamPointer, isAborted: Bool) {
    if stream.pointee.exchange != nil { return cut(session, stream) }
    dropQueue(session, stream, from: .client)
    dropQueue(session, stream, from: .server)
    report(stream, isAborted: isAborted)
    session.pointee.remove(stream)
    http2Work().recycle(stream)
  }

  private func report(_ stream: StreamPointer, isAborted: Bool) {
    count(status: stream.pointee.statusCode)
    if isAborted { counters.aborted.add() }
    counters.requestOctets.add(stream.pointee.requestOctets)
    counters.responseOctets.add(stream.pointee.responseOctets)
    if log.isEnabled { log.append(stream.pointee, now: Clock.monotonic(), isAborted: isAborted) }
    if let block = stream.pointee.block { blocks.give(block) }
  }

  // MARK: Sessions

  /// All was said: the connection lingers as one of HTTP/1 does.
  func leave(_ session: SessionPointer) {
    let c = session.pointee.connection
    endSession(c)
    closeUpstream(c)
    linger(c)
  }

  /// Gives back all that a connection's session has.
  func endSession(_ c: ConnectionPointer) {
    guard let session = c.pointee.http2 else { return }
    c.pointee.http2 = nil
    // What is written now is read by nobody.
    while session.pointee.count > 0 {
      end(session, session.pointee.streams[session.pointee.count &- 1], isAborted: true)
    }
    for role in [Role.client, .server] {
      let side = session.pointee.side(role)
      if let memory = side.pointee.block.end() { buffers.give(memory) }
      if let out = side.pointee.out { buffers.give(out) }
      side.pointee.out = nil
    }
    if session.pointee.carried == .server { http2Work().pool.remove(c, key(c)) }
    http2Work().recycle(session)
  }

  /// The proxy stops.
  func drainHTTP2(_ c: ConnectionPointer) {
    guard let session = c.pointee.http2 else { return }
    goAway(session, last: session.pointee.side(.client).pointee.lastStream)
    driveHTTP2(c)
  }

  /// Ends what has waited too long.
  func sweepHTTP2(_ c: ConnectionPointer, _ timeouts: ProxyTimeouts) {
    guard let session = c.pointee.http2 else { return }
    func isOver(_ since: UInt64, _ limit: Duration) -> Bool { now &- min(now, since) >= limit.nanoseconds }
    if session.pointee.isClosing {
      // It does not even read why.
      if isOver(c.pointee.activeAt, timeouts.linger) { closeConnection(c) }
      return
    }
    if session.pointee.owesSince != 0, isOver(session.pointee.owesSince, timeouts.requestHead) {
      goAway(session, last: session.pointee.side(.client).pointee.lastStream)
      session.pointee.isClosing = true
      return driveHTTP2(c)
    }
    if session.pointee.carried == .server, session.pointee.count == 0 {
      let isOld = c.pointee.policy.revision != shared.resolver.revision
      if isOld || isOver(c.pointee.activeAt, timeouts.upstreamIdle) { closeConnection(c) }
      return
    }
    if session.pointee.count == 0 {
      let idle = timeouts.idle.nanoseconds
      let limit = c.pointee.policy.listener == 0 ? idle : limitsBetweenRequests(c, 0, idle).idle
      guard now &- min(now, c.pointee.activeAt) >= limit else { return }
      goAway(session, last: session.pointee.side(.client).pointee.lastStream)
      return driveHTTP2(c)
    }
    let activeAt = c.pointee.activeAt
    var hasChanged = false
    if c.pointee.upstream.fd >= 0, !c.pointee.isConnected, isOver(c.pointee.connectStartedAt, timeouts.connect) {
      counters.upstreamFailures.add()
      lose(session, status: 504, reason: "the server did not take the connection in time")
      hasChanged = true
    }
    var index = session.pointee.count
    while index > 0 {
      index &-= 1
      // What it carries has timers of its own.
      guard index < session.pointee.count, session.pointee.streams[index].pointee.exchange == nil,
        isOver(session.pointee.streams[index].pointee.activeAt, timeouts.stall),
        hasRoom(session, .client, 1024), hasRoom(session, .server, 1024), c.pointee.request == .http2
      else { continue }
      expire(session, session.pointee.streams[index])
      hasChanged = true
    }
    guard hasChanged else { return }
    driveHTTP2(c)
    if c.pointee.request == .http2 { c.pointee.activeAt = activeAt }
  }

  private func expire(_ session: SessionPointer, _ stream: StreamPointer) {
    reset(session, .server, stream, .cancel)
    guard !stream.pointee.hasHead else {
      reset(session, .client, stream, .internalError)
      return end(session, stream, isAborted: true)
    }
    if stream.pointee.leg(.client).pointee.hasEnded {
      answer(session, stream, status: 504, reason: "the server did not answer in time")
    } else {
      answer(session, stream, status: 408, reason: "the request did not end in time")
    }
  }
}
