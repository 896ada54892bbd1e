import HTTP2

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// What is sent to a carried stream, as HTTP/1, becomes frames in the output of its session. A message comes as the engine read
// it: each head whole, everything found good.
extension Worker {
  /// As send(2) to a socket. What is not taken is asked for by `isWritable` when windows and output have room again.
  func send(_ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
    let leg = stream.pointee.leg(stream.pointee.role)
    guard stream.pointee.place >= 0, let session = stream.pointee.connection.pointee.http2,
      leg.pointee.number == 0 || leg.pointee.state.maySend
    else { return count }
    var at = 0
    while at < count {
      let taken = step(session, stream, bytes + at, count &- at)
      if taken < 0 {
        guard stream.pointee.role == .server else { return taken }
        cut(session, stream)
        return count
      }
      if taken == 0 { break }
      at &+= taken
    }
    if at > 0 { enqueue(stream.pointee.connection) }
    if at < count, !stream.pointee.output.isBlocked {
      stream.pointee.output.isBlocked = true
      session.pointee.blockedCount &+= 1
    }
    return at > 0 ? at : -Int(EAGAIN)
  }

  /// - Returns: how many octets were taken; 0 when there is no room, and below zero for an error.
  private func step(
    _ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) -> Int {
    switch stream.pointee.output.part {
    case .head: return sendHead(session, stream, bytes, count)
    case .octets, .chunkData: return sendBody(session, stream, bytes, count)
    case .trailers: return sendTrailers(session, stream, bytes, count)
    case .over: return count
    case .chunkSize, .chunkExtension:
      let digit = Octet.hexadecimal(bytes[0])
      if bytes[0] == Octet.lineFeed {
        stream.pointee.output.part = stream.pointee.output.rest == 0 ? .trailers : .chunkData
      } else if stream.pointee.output.part == .chunkSize, digit != 255 {
        stream.pointee.output.rest = stream.pointee.output.rest << 4 | UInt64(digit)
      } else {
        stream.pointee.output.part = .chunkExtension
      }
      return 1
    case .chunkEnd:
      if bytes[0] == Octet.lineFeed { stream.pointee.output.part = .chunkSize }
      return 1
    }
  }

  // MARK: Bodies

  private func sendBody(
    _ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) -> Int {
    let rest = stream.pointee.output.rest
    let part = min(Int(clamping: rest), count, allowance(session, stream))
    guard part > 0 else { return 0 }
    let isLast = UInt64(part) == rest
    var taken = part
    var endStream = false
    stream.pointee.output.rest = rest &- UInt64(part)
    if stream.pointee.output.part == .octets {
      if isLast { stream.pointee.output.part = .over }
      endStream = isLast
    } else if isLast {
      let length = Self.lastChunk.utf8CodeUnitCount
      endStream = count &- part >= length && memcmp(bytes + part, Self.lastChunk.utf8Start, length) == 0
      if endStream { taken &+= length }
      stream.pointee.output.part = endStream ? .over : .chunkEnd
    }
    writeData(session, stream, bytes, part, endStream: endStream)
    return taken
  }

  /// The end of a chunk, and of a message behind it.
  private static let lastChunk: StaticString = "\r\n0\r\n\r\n"

  func writeData(
    _ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int, endStream: Bool
  ) {
    let role = stream.pointee.role
    let leg = stream.pointee.leg(role)
    let side = session.pointee.side(role)
    leg.pointee.sendWindow.take(count)
    side.pointee.sendWindow.take(count)
    stream.pointee.output.sent &+= count
    // They may bring updates of two windows every few kilobytes, and a PING.
    side.pointee.idleFrames.earn(UInt64(4 &+ count >> 10))
    let number = leg.pointee.number
    write(session, role) { $0.putData(stream: number, bytes, count, endStream: endStream) }
    sent(session, stream, to: role, endStream: endStream)
  }

  /// Octets of a body that may go now. Streams share a round of the output, so that none of them has it all.
  private func allowance(_ session: SessionPointer, _ stream: StreamPointer) -> Int {
    let role = stream.pointee.role
    let room = outputRoom(session, role) &- FrameHeader.size
    // Small frames for the last octets of a buffer help nobody.
    guard room >= 512 else { return 0 }
    if stream.pointee.output.round != session.pointee.round {
      stream.pointee.output.round = session.pointee.round
      stream.pointee.output.sent = 0
    }
    let share = max(OctetWriter.maximumPayload, Endpoint.capacity / max(1, session.pointee.count))
    let windows = min(
      stream.pointee.leg(role).pointee.sendWindow.octets, session.pointee.side(role).pointee.sendWindow.octets)
    return min(min(room, OctetWriter.maximumPayload), min(windows, share &- stream.pointee.output.sent))
  }

  /// Octets that carried streams may still add to a session's output. What the session itself says has room beyond.
  private func outputRoom(_ session: SessionPointer, _ role: Role) -> Int {
    let side = session.pointee.side(role)
    guard side.pointee.out != nil else { return buffers.size &- Self.replyRoom }
    if side.pointee.outStart > 0, side.pointee.outEnd > buffers.size / 2 { compactOutput(side) }
    return buffers.size &- Self.replyRoom &- side.pointee.outEnd
  }

  /// Lets some of the streams that wait go on, each in its turn.
  func wakeBlocked(_ session: SessionPointer) {
    guard let role = session.pointee.carried, outputRoom(session, role) >= 1024 else { return }
    var left = session.pointee.count
    var woken = 0
    while left > 0, woken < 8, session.pointee.blockedCount > 0 {
      left &-= 1
      session.pointee.turn = (session.pointee.turn &+ 1) % session.pointee.count
      let stream = session.pointee.streams[session.pointee.turn]
      guard stream.pointee.output.isBlocked, let c = stream.pointee.exchange else { continue }
      let isBody = stream.pointee.output.part == .octets || stream.pointee.output.part == .chunkData
      if isBody, allowance(session, stream) <= 0 { continue }
      stream.pointee.output.isBlocked = false
      session.pointee.blockedCount &-= 1
      woken &+= 1
      if role == .client { c.pointee.client.isWritable = true } else { c.pointee.upstream.isWritable = true }
      enqueue(c)
    }
  }

  // MARK: Heads and trailers

  /// More octets than fields can become, beyond those that they have as HTTP/1: up to three for the lengths of each, and frames.
  private static let headOverhead = 1024

  private func sendHead(
    _ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) -> Int {
    let role = stream.pointee.role
    guard let length = GoodLines.length(bytes, count: count),
      length &+ Self.headOverhead <= buffers.size - Self.replyRoom
    else { return -Int(EMSGSIZE) }
    guard outputRoom(session, role) >= length &+ Self.headOverhead else { return 0 }
    let work = http2Work()
    work.output.removeAll()
    var head = CarriedHead(isRequest: role == .server)
    head.read(bytes, length: length, into: &work.output)
    guard !work.output.isTooLarge else { return -Int(EMSGSIZE) }
    var taken = length
    var endStream = false
    switch head.kind {
    case .interim: break
    case .whole: endStream = true
    case .length(let octets):
      endStream = octets == 0 || stream.pointee.isHEAD
      stream.pointee.output.rest = octets
      stream.pointee.output.part = .octets
    case .chunked:
      let end = Self.lastChunk.utf8CodeUnitCount &- 2
      endStream = stream.pointee.isHEAD && role == .client
      if !endStream, count &- length >= end, memcmp(bytes + length, Self.lastChunk.utf8Start + 2, end) == 0 {
        endStream = true
        taken &+= end
      }
      stream.pointee.output.rest = 0
      stream.pointee.output.part = .chunkSize
    case .untilClose:
      endStream = stream.pointee.isHEAD
      stream.pointee.output.isUntilClose = true
      stream.pointee.output.rest = .max
      stream.pointee.output.part = .octets
    }
    if endStream { stream.pointee.output.part = .over }
    if role == .server {
      stream.pointee.isHEAD = head.isHEAD
      stream.pointee.output.isHTTP10 = head.isHTTP10
      assignNumber(session, stream)
    }
    pass(session, stream, to: role, &work.output, endStream: endStream)
    return taken
  }

  /// Trailers are the last that comes, and become one section when all of it is there.
  private func sendTrailers(
    _ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) -> Int {
    let held = stream.pointee.output.trailerCount
    let bound = held &+ count &+ Self.headOverhead
    // They can not be larger than a head may be, and a message is whole without them.
    let fits = bound <= buffers.size &- Self.replyRoom
    guard !fits || outputRoom(session, stream.pointee.role) >= bound else { return 0 }
    if held == 0, let length = GoodLines.length(bytes, count: count) {
      endWithTrailers(session, stream, bytes, fits ? length : 0)
      return count
    }
    if stream.pointee.output.trailers == nil { stream.pointee.output.trailers = buffers.take() }
    guard fits, let memory = stream.pointee.output.trailers else {
      endWithTrailers(session, stream, bytes, 0)
      return count
    }
    memcpy(memory + held, bytes, count)
    stream.pointee.output.trailerCount = held &+ count
    if let length = GoodLines.length(memory, count: held &+ count) {
      endWithTrailers(session, stream, memory, length)
    }
    return count
  }

  private func endWithTrailers(
    _ session: SessionPointer, _ stream: StreamPointer, _ bytes: UnsafePointer<UInt8>, _ length: Int
  ) {
    stream.pointee.output.part = .over
    let work = http2Work()
    work.output.removeAll()
    CarriedHead.readFields(bytes, from: 0, length: length, into: &work.output)
    guard work.output.count > 0, !work.output.isTooLarge else {
      return writeData(session, stream, bytes, 0, endStream: true)
    }
    pass(session, stream, to: stream.pointee.role, &work.output, endStream: true)
  }
}
