import HTTP2

extension Worker {
  /// Handles a whole frame. The payload is gone when a side's connection is.
  func handle(
    _ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ payload: UnsafeMutablePointer<UInt8>
  ) {
    let side = session.pointee.side(role)
    if !side.pointee.hasSettings, header.type != .settings || header.flags.contains(.acknowledgement) {
      return fail(session, role, .missingSettings)
    }
    switch header.type {
    case .data: takeData(session, role, header, payload)
    case .headers: beginBlock(session, role, header, payload)
    case .continuation: continueBlock(session, role, header, payload)
    case .settings: takeSettings(session, role, header, payload)
    case .windowUpdate: takeWindowUpdate(session, role, header, Self.number(payload) & 0x7FFF_FFFF)
    case .resetStream: takeReset(session, role, header.stream, code: Self.number(payload))
    case .ping:
      guard !header.flags.contains(.acknowledgement), spend(session, role) else { return }
      write(session, role) { $0.putPingAcknowledgement(payload) }
    case .goAway:
      // A client's says something about pushes only; it closes when it has what it wants.
      if role == .server { passGoAway(session, last: Self.number(payload) & 0x7FFF_FFFF) }
    case .pushPromise: fail(session, role, .unexpectedPush)
    case .priority, nil: _ = spend(session, role)
    }
  }

  private static func number(_ bytes: UnsafePointer<UInt8>) -> UInt32 {
    UInt32(bigEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt32.self))
  }

  /// Counts a frame that moves nothing.
  /// - Returns: false when there were too many of them, and the connection has failed.
  func spend(_ session: SessionPointer, _ role: Role) -> Bool {
    if session.pointee.side(role).pointee.idleFrames.spend(now: now) { return true }
    fail(session, role, .tooManyIdleFrames)
    return false
  }

  /// Whether no stream of this number was ever opened at a side.
  func isIdle(_ session: SessionPointer, _ role: Role, _ number: UInt32) -> Bool {
    number & 1 == 0 || number > session.pointee.side(role).pointee.lastStream
  }

  // MARK: Header blocks

  private func beginBlock(
    _ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ payload: UnsafeMutablePointer<UInt8>
  ) {
    var content = FrameContent()
    if let fault = content.find(header, payload) { return fail(session, role, fault) }
    if header.flags.contains(.endHeaders) {
      return takeBlock(session, role, header, payload + content.start, content.count)
    }
    guard let memory = buffers.take() else {
      session.pointee.isClosing = true
      return
    }
    let side = session.pointee.side(role)
    side.pointee.block.begin(header, in: memory)
    if let fault = side.pointee.block.add(payload + content.start, content.count, limit: limits.head) {
      fail(session, role, fault)
    }
  }

  private func continueBlock(
    _ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ payload: UnsafeMutablePointer<UInt8>
  ) {
    let side = session.pointee.side(role)
    if let fault = side.pointee.block.add(payload, header.length, limit: limits.head) {
      return fail(session, role, fault)
    }
    guard header.flags.contains(.endHeaders) else { return }
    let first = FrameHeader(
      length: 0, type: .headers, flags: side.pointee.block.flags, stream: side.pointee.block.stream)
    let count = side.pointee.block.count
    guard let memory = side.pointee.block.end() else { return }
    takeBlock(session, role, first, memory, count)
    buffers.give(memory)
  }

  private func takeBlock(
    _ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) {
    let side = session.pointee.side(role)
    let work = http2Work()
    if let fault = side.pointee.decoder.decode(bytes, count: count, into: &work.list) {
      return fail(session, role, fault)
    }
    let endStream = header.flags.contains(.endStream)
    if role == .client {
      takeRequest(session, work, header.stream, octets: count, endStream: endStream)
    } else {
      takeResponse(session, work, header.stream, octets: count, endStream: endStream)
    }
  }

  /// A header section behind a message's body.
  func takeTrailers(
    _ session: SessionPointer, _ role: Role, _ work: HTTP2Work, _ stream: StreamPointer, octets: Int, endStream: Bool
  ) {
    let leg = stream.pointee.leg(role)
    if let fault = leg.pointee.state.receive(.headers, endStream: endStream) {
      return fail(session, role, stream, fault)
    }
    if !endStream { return fail(session, role, stream, .unendedTrailers) }
    if work.list.isTooLarge { return fail(session, role, stream, .headerBlockTooLarge) }
    if let fault = work.list.faultOfTrailers() ?? leg.pointee.length.take(0, isLast: true) {
      return fail(session, role, stream, fault)
    }
    leg.pointee.hasEnded = true
    stream.pointee.activeAt = now
    count(stream, role, octets)
    if stream.pointee.isAnswered, role == .client { return finishIfDone(session, stream) }
    if stream.pointee.exchange != nil {
      guard work.list.count == 0 || keepTrailers(work, leg) else {
        return fail(session, role, stream, .headerBlockTooLarge)
      }
      return wakeToRead(stream)
    }
    guard leg.pointee.queue.count == 0 else {
      guard keepTrailers(work, leg) else {
        return fail(session, role, stream, .headerBlockTooLarge)
      }
      return
    }
    pass(session, stream, to: role.other, &work.list, endStream: true)
  }

  /// - Returns: false when there is no memory for them.
  private func keepTrailers(_ work: HTTP2Work, _ leg: UnsafeMutablePointer<HTTP2Leg>) -> Bool {
    guard work.list.keptSize <= buffers.size, let memory = buffers.take() else { return false }
    work.list.keep(in: memory)
    leg.pointee.trailers = memory
    return true
  }

  /// Sends a header section on.
  func pass(
    _ session: SessionPointer, _ stream: StreamPointer, to role: Role, _ list: inout HeaderList, endStream: Bool
  ) {
    let leg = stream.pointee.leg(role)
    let side = session.pointee.side(role)
    write(session, role) {
      $0.putHeaders(stream: leg.pointee.number, list, &side.pointee.encoder, endStream: endStream)
    }
    sent(session, stream, to: role, endStream: endStream)
  }

  func count(_ stream: StreamPointer, _ role: Role, _ octets: Int) {
    if role == .client {
      stream.pointee.requestOctets &+= UInt64(octets)
    } else {
      stream.pointee.responseOctets &+= UInt64(octets)
    }
  }

  // MARK: The connection's own frames

  private func takeSettings(
    _ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ payload: UnsafePointer<UInt8>
  ) {
    if header.flags.contains(.acknowledgement) { return }
    let side = session.pointee.side(role)
    let before = Int(side.pointee.settings.initialWindowSize)
    if side.pointee.hasSettings, !spend(session, role) { return }
    if let fault = side.pointee.settings.apply(payload, count: header.length, isClient: role == .client) {
      return fail(session, role, fault)
    }
    side.pointee.hasSettings = true
    let difference = Int(side.pointee.settings.initialWindowSize) &- before
    if difference != 0 {
      for index in 0..<session.pointee.count {
        let leg = session.pointee.streams[index].pointee.leg(role)
        if let fault = leg.pointee.sendWindow.adjust(difference) { return fail(session, role, fault) }
      }
    }
    side.pointee.encoder.setPeerLimit(Int(side.pointee.settings.headerTableSize))
    write(session, role) { $0.putSettingsAcknowledgement() }
    if role == .server { tellStreamLimit(session) }
  }

  /// The client may have as many streams as the server takes.
  private func tellStreamLimit(_ session: SessionPointer) {
    let ofServer = session.pointee.side(.server).pointee.settings.maximumConcurrentStreams
    let limit = min(HTTP2Session.maximumStreams, Int(ofServer))
    guard limit != session.pointee.streamLimit else { return }
    session.pointee.streamLimit = limit
    write(session, .client) { $0.putSettings([.maximumConcurrentStreams: UInt32(limit)]) }
  }

  private func takeWindowUpdate(_ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ increment: UInt32) {
    guard spend(session, role) else { return }
    let side = session.pointee.side(role)
    if header.stream == 0 {
      if let fault = side.pointee.sendWindow.grow(increment) { fail(session, role, fault) }
      return
    }
    guard let stream = session.pointee.stream(header.stream, role) else {
      if isIdle(session, role, header.stream) { fail(session, role, .frameOnIdleStream) }
      return
    }
    if let fault = stream.pointee.leg(role).pointee.sendWindow.grow(increment) { fail(session, role, stream, fault) }
  }
}
