import HTTP2

// The session's connection to the server: one at a time, opened with the first request that goes there.
extension Worker {
  /// Connects, and begins to speak.
  /// - Returns: false when that failed at once and the stream was answered.
  func dial(_ session: SessionPointer, _ stream: StreamPointer) -> Bool {
    let c = session.pointee.connection
    let error = connect(c)
    guard error == 0 else {
      counters.upstreamFailures.add()
      answer(session, stream, status: 503, reason: Self.reason(ofConnect: error))
      return false
    }
    greetServer(session)
    return true
  }

  /// Begins to speak to the server.
  func greetServer(_ session: SessionPointer) {
    let headLimit = UInt32(truncatingIfNeeded: limits.head)
    write(session, .server) {
      $0.put(OctetWriter.preface)
      $0.putSettings([
        .enablePush: 0, .initialWindowSize: UInt32(HTTP2Session.streamWindow), .maximumHeaderListSize: headLimit,
      ])
      $0.putWindowUpdate(stream: 0, increment: UInt32(HTTP2Session.window - 65535))
    }
  }

  /// The server's connection is of no more use. What its streams are told, `answerLost` tells them.
  func lose(_ session: SessionPointer, status: Int, reason: StaticString) {
    if session.pointee.carried == .server { return closeConnection(session.pointee.connection) }
    closeServer(session)
    session.pointee.failure = (status, reason)
    _ = answerLost(session)
  }

  /// Tells the streams of a lost connection, as many as there is room for.
  /// - Returns: whether all know.
  func answerLost(_ session: SessionPointer) -> Bool {
    guard let failure = session.pointee.failure else { return false }
    var index = session.pointee.count
    while index > 0 {
      index &-= 1
      guard index < session.pointee.count else { continue }
      let stream = session.pointee.streams[index]
      guard stream.pointee.leg(.server).pointee.number != 0 else { continue }
      guard hasRoom(session, .client, 1024), session.pointee.connection.pointee.request == .http2 else { return false }
      tell(session, stream, status: failure.status, reason: failure.reason)
    }
    session.pointee.failure = nil
    return true
  }

  /// The server has no more part in a stream.
  private func tell(_ session: SessionPointer, _ stream: StreamPointer, status: Int, reason: StaticString) {
    let isWhole = stream.pointee.leg(.server).pointee.hasEnded
    stream.pointee.leg(.server).pointee.state = .closed
    if isWhole {
      // What there is of it reaches the client all the same.
      session.pointee.setServerNumber(stream, 0)
      stream.pointee.isAnswered = true
      dropQueue(session, stream, from: .client)
      return finishIfDone(session, stream)
    }
    if !stream.pointee.hasHead { return answer(session, stream, status: status, reason: reason) }
    stream.pointee.failure = reason
    reset(session, .client, stream, .internalError)
    end(session, stream, isAborted: true)
  }

  /// Forgets the server's connection.
  func closeServer(_ session: SessionPointer) {
    let side = session.pointee.side(.server)
    closeUpstream(session.pointee.connection)
    if let memory = side.pointee.block.end() { buffers.give(memory) }
    if let out = side.pointee.out { buffers.give(out) }
    let queued = side.pointee.queued
    side.pointee = HTTP2Side(side.pointee.endpoint, reusing: side.pointee)
    side.pointee.queued = queued
  }

  /// The server takes no streams above `last`. The client is told which of its own that are, and sends them elsewhere.
  func passGoAway(_ session: SessionPointer, last: UInt32) {
    if session.pointee.carried == .server { return refuseStreams(session, above: last) }
    let client = session.pointee.side(.client)
    guard session.pointee.lastServed == .max else { return }
    // The first of two: the server says that it will stop, and takes what is on its way until it says so again.
    if last == 0x7FFF_FFFF { return write(session, .client) { $0.putGoAway(lastStream: last, code: .noError) } }
    var index = session.pointee.count
    while index > 0 {
      index &-= 1
      guard index < session.pointee.count else { continue }
      let stream = session.pointee.streams[index]
      guard stream.pointee.leg(.server).pointee.number > last else { continue }
      stream.pointee.failure = "the server ends the connection"
      reset(session, .client, stream, .refusedStream)
      end(session, stream, isAborted: true)
    }
    goAway(session, last: client.pointee.lastStream)
  }

  /// Takes no further streams of the client.
  func goAway(_ session: SessionPointer, last: UInt32) {
    guard session.pointee.lastServed == .max, hasRoom(session, .client, 64) else { return }
    session.pointee.lastServed = last
    write(session, .client) { $0.putGoAway(lastStream: last, code: .noError) }
  }
}
