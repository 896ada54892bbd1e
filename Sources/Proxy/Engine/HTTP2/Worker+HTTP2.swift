import HTTP2

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// Connections that begin with HTTP/2's preface. As for HTTP/1, one call of `drive` moves all that can be moved.
extension Worker {
  /// Octets that any frame may make the proxy say beyond what it passes on: updates of windows, a GOAWAY, a reset of each
  /// stream.
  static let replyRoom = 4096

  private static let preface: StaticString = OctetWriter.preface

  func http2Work() -> HTTP2Work {
    if let http2 { return http2 }
    let work = HTTP2Work(limits: limits)
    http2 = work
    return work
  }

  /// Tells by its first octets whether a connection speaks HTTP/2, and begins to.
  /// - Returns: nil when it speaks something else.
  func beginHTTP2(_ c: ConnectionPointer) -> Step? {
    guard c.pointee.client.stream == nil, let base = c.pointee.client.base else { return nil }
    let length = Self.preface.utf8CodeUnitCount
    let count = min(length, c.pointee.client.unexamined)
    guard memcmp(base + c.pointee.client.validated, Self.preface.utf8Start, count) == 0 else { return nil }
    guard count == length else {
      if c.pointee.headStartedAt == 0 { c.pointee.headStartedAt = now }
      return .needsMore
    }
    let number = c.pointee.policy.listener
    if number != 0, listener(number)?.manager.takesHTTP2 == false { return nil }
    c.pointee.headStartedAt = 0
    c.pointee.client.validated &+= length
    c.pointee.client.start = c.pointee.client.validated
    c.pointee.request = .http2
    let session = http2Work().makeSession(c, carrying: c.pointee.policy.listener == 0 ? nil : .client)
    c.pointee.http2 = session
    session.pointee.owesSince = now
    let headLimit = UInt32(truncatingIfNeeded: limits.head)
    write(session, .client) {
      $0.putSettings([
        .maximumConcurrentStreams: UInt32(HTTP2Session.maximumStreams),
        .initialWindowSize: UInt32(HTTP2Session.streamWindow), .maximumHeaderListSize: headLimit,
      ])
      $0.putWindowUpdate(stream: 0, increment: UInt32(HTTP2Session.window - 65535))
    }
    return .moved
  }

  func driveHTTP2(_ c: ConnectionPointer) {
    guard let session = c.pointee.http2 else { return }
    budget = Self.stepsPerTurn
    if !session.pointee.isClosing { c.pointee.activeAt = now }
    while true {
      var moved = readFrames(session, .client)
      if c.pointee.request != .http2 { return }
      if readFrames(session, .server) { moved = true }
      if c.pointee.request != .http2 { return }
      if answerLost(session) { moved = true }
      if passQueues(session) { moved = true }
      if flush(session, .server) { moved = true }
      if flush(session, .client) { moved = true }
      if c.pointee.request != .http2 { return }
      if isOver(session) { return leave(session) }
      if budget <= 0 {
        enqueue(c)
        break
      }
      if !moved { break }
    }
    settle(&c.pointee.client, c)
    settle(&c.pointee.upstream, c)
    settleOutput(session, .client)
    settleOutput(session, .server)
    if session.pointee.blockedCount > 0 { wakeBlocked(session) }
  }

  /// Whether everything was said that there is to say.
  private func isOver(_ session: SessionPointer) -> Bool {
    let client = session.pointee.side(.client)
    guard client.pointee.outStart == client.pointee.outEnd else { return false }
    if session.pointee.isClosing { return true }
    let isLeaving = session.pointee.lastServed != .max || mode >= .departing && session.pointee.carried == .server
    return isLeaving && session.pointee.count == 0
  }

  // MARK: Reading

  private func readFrames(_ session: SessionPointer, _ role: Role) -> Bool {
    let c = session.pointee.connection
    let endpoint = session.pointee.side(role).pointee.endpoint
    var moved = false
    while budget > 0, !session.pointee.isClosing {
      switch takeFrames(session, role) {
      case .moved: moved = true
      case .blocked: return moved
      case .needsMore: break
      }
      if c.pointee.request != .http2 || endpoint.pointee.fd < 0 || session.pointee.isClosing { return moved }
      if endpoint.pointee.hasEnded {
        ended(session, role)
        return true
      }
      let scratch = role == .client ? clientScratch : upstreamScratch
      guard endpoint.pointee.isReadable, let memory = room(&endpoint.pointee, scratch) else { return moved }
      budget &-= 1
      switch endpoint.pointee.receive(memory) {
      case .octets:
        if role == .server, !c.pointee.isConnected { noteConnected(session) }
        moved = true
      case .nothing: return moved
      case .ended, .failed: moved = true
      }
    }
    return moved
  }

  /// Handles the frames that have come whole. `.moved` when something else has to be looked at before the next one.
  private func takeFrames(_ session: SessionPointer, _ role: Role) -> Step {
    let c = session.pointee.connection
    let side = session.pointee.side(role)
    let endpoint = side.pointee.endpoint
    while true {
      let held = endpoint.pointee.end &- endpoint.pointee.start
      guard held > 0, let base = endpoint.pointee.base else { return finishTaking(session, role, isDebt: false) }
      let bytes = base + endpoint.pointee.start
      if role == .server, !side.pointee.hasSettings, isForeign(bytes, held) {
        lose(session, status: 502, reason: "the server does not speak HTTP/2")
        return .moved
      }
      guard held >= FrameHeader.size else { return finishTaking(session, role, isDebt: true) }
      let header = FrameHeader(bytes)
      if let fault = header.fault(maximum: OctetWriter.maximumPayload) ?? side.pointee.block.fault(header) {
        fail(session, role, fault)
        return .moved
      }
      guard held >= FrameHeader.size &+ header.length else {
        return finishTaking(session, role, isDebt: header.type != .data)
      }
      guard session.pointee.failure == nil, hasRoom(session, for: header) else { return .blocked }
      endpoint.pointee.start &+= FrameHeader.size &+ header.length
      endpoint.pointee.validated = endpoint.pointee.start
      if role == .client, !side.pointee.block.isOpen { session.pointee.owesSince = 0 }
      handle(session, role, header, bytes + FrameHeader.size)
      if c.pointee.request != .http2 || session.pointee.isClosing || endpoint.pointee.fd < 0 { return .moved }
    }
  }

  /// Notes since when the client has not said what it began to say.
  private func finishTaking(_ session: SessionPointer, _ role: Role, isDebt: Bool) -> Step {
    guard role == .client else { return .needsMore }
    let client = session.pointee.side(.client)
    if isDebt || client.pointee.block.isOpen || !client.pointee.hasSettings {
      if session.pointee.owesSince == 0 { session.pointee.owesSince = now }
    } else {
      session.pointee.owesSince = 0
    }
    return .needsMore
  }

  /// Whether the first octets of a server are not those of a SETTINGS frame: zeros would be a length below 65536.
  private func isForeign(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    if bytes[0] != 0 { return true }
    return count > 4 && (bytes[3] != FrameType.settings.rawValue || bytes[4] != 0)
  }

  private func hasRoom(_ session: SessionPointer, for header: FrameHeader) -> Bool {
    if let role = session.pointee.carried { return hasRoom(session, role, Self.replyRoom) }
    let isHead = header.type == .headers || header.type == .continuation
    let passedOn = isHead ? OctetWriter.headersBound(limits.head) : FrameHeader.size &+ header.length
    return hasRoom(session, .client, passedOn &+ Self.replyRoom)
      && hasRoom(session, .server, passedOn &+ Self.replyRoom)
  }

  /// The end of a side's octets.
  private func ended(_ session: SessionPointer, _ role: Role) {
    let c = session.pointee.connection
    if role == .client { return closeConnection(c) }
    let error = c.pointee.upstream.failure
    if c.pointee.isConnected, !session.pointee.side(.server).pointee.hasSettings {
      lose(session, status: 502, reason: "the server closed the connection before it spoke HTTP/2")
    } else if c.pointee.isConnected {
      lose(session, status: 502, reason: "the server closed the connection before it answered")
    } else {
      // Each of the requests that it carries counts it.
      if session.pointee.carried == nil { counters.upstreamFailures.add() }
      lose(session, status: 503, reason: Self.reason(ofConnect: error))
    }
  }

  // MARK: Writing

  /// Whether a side's output takes `count` octets more.
  @inline(__always)
  func hasRoom(_ session: SessionPointer, _ role: Role, _ count: Int) -> Bool {
    let side = session.pointee.side(role)
    if side.pointee.outEnd &+ count <= buffers.size { return true }
    return makeRoom(session, role, count)
  }

  private func makeRoom(_ session: SessionPointer, _ role: Role, _ count: Int) -> Bool {
    let side = session.pointee.side(role)
    _ = flush(session, role)
    guard session.pointee.connection.pointee.request == .http2 else { return false }
    compactOutput(side)
    return side.pointee.outEnd &+ count <= buffers.size
  }

  func compactOutput(_ side: UnsafeMutablePointer<HTTP2Side>) {
    guard let out = side.pointee.out, side.pointee.outStart > 0 else { return }
    memmove(out, out + side.pointee.outStart, side.pointee.outEnd &- side.pointee.outStart)
    side.pointee.outEnd &-= side.pointee.outStart
    side.pointee.outStart = 0
  }

  /// Adds to what a side is sent. Who calls has seen to it that there is room.
  @inline(__always)
  func write(_ session: SessionPointer, _ role: Role, _ body: (inout OctetWriter) -> Void) {
    let side = session.pointee.side(role)
    // A server that is gone is told nothing.
    guard side.pointee.endpoint.pointee.fd >= 0 else { return }
    if side.pointee.out == nil {
      side.pointee.out = buffers.take()
      side.pointee.outStart = 0
      side.pointee.outEnd = 0
    }
    guard let out = side.pointee.out else {
      session.pointee.isClosing = true
      return
    }
    var writer = OctetWriter(out, capacity: buffers.size, count: side.pointee.outEnd)
    body(&writer)
    side.pointee.outEnd = writer.count
    // Half a frame would be taken for what follows it.
    if writer.hasOverflown { session.pointee.isClosing = true }
  }

  /// Sends what waits for a side.
  /// - Returns: whether octets have left.
  func flush(_ session: SessionPointer, _ role: Role) -> Bool {
    let c = session.pointee.connection
    let side = session.pointee.side(role)
    let endpoint = side.pointee.endpoint
    let wanted = side.pointee.outEnd &- side.pointee.outStart
    guard wanted > 0, endpoint.pointee.fd >= 0, endpoint.pointee.isWritable, let out = side.pointee.out else {
      return false
    }
    let count = Socket.send(endpoint.pointee.fd, out + side.pointee.outStart, wanted)
    if count > 0 {
      if role == .server, !c.pointee.isConnected { noteConnected(session) }
      side.pointee.outStart &+= count
      session.pointee.round &+= 1
      if count < wanted {
        endpoint.pointee.isWritable = false
      } else {
        side.pointee.outStart = 0
        side.pointee.outEnd = 0
      }
      return true
    }
    if count == -Int(EAGAIN) || count == -Int(EINTR) {
      endpoint.pointee.isWritable = count == -Int(EINTR)
      return false
    }
    guard role == .server else {
      closeConnection(c)
      return true
    }
    // It may have answered before it closed, so that is read first.
    side.pointee.outStart = 0
    side.pointee.outEnd = 0
    endpoint.pointee.isReadable = true
    endpoint.pointee.isHangingUp = true
    if !c.pointee.isConnected {
      endpoint.pointee.hasEnded = true
      endpoint.pointee.failure = Int32(-count)
    }
    return true
  }

  /// Gives the memory of output back that has all left.
  func settleOutput(_ session: SessionPointer, _ role: Role) {
    let side = session.pointee.side(role)
    guard let out = side.pointee.out, side.pointee.outStart == side.pointee.outEnd else { return }
    buffers.give(out)
    side.pointee.out = nil
    side.pointee.outStart = 0
    side.pointee.outEnd = 0
  }
}
