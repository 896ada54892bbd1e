import HTTP2

// Bodies. Octets go straight to the other side's output while both of its windows are open, and wait in their stream's
// queue when one is not; either way their own window is given back only when they have got there.
extension Worker {
  func takeData(
    _ session: SessionPointer, _ role: Role, _ header: FrameHeader, _ payload: UnsafePointer<UInt8>
  ) {
    let side = session.pointee.side(role)
    if let fault = side.pointee.receiveWindow.receive(header.length) { return fail(session, role, fault) }
    guard let stream = session.pointee.stream(header.stream, role) else {
      return takeStrayData(session, role, header)
    }
    let leg = stream.pointee.leg(role)
    var content = FrameContent()
    if let fault = content.find(header, payload) { return fail(session, role, fault) }
    let endStream = header.flags.contains(.endStream)
    let fault =
      leg.pointee.receiveWindow.receive(header.length)
      ?? leg.pointee.state.receive(.data, endStream: endStream)
      ?? (role == .server && !stream.pointee.hasHead ? .bodyBeforeHead : nil)
      ?? leg.pointee.length.take(content.count, isLast: endStream)
    if let fault {
      giveBack(session, nil, role, header.length)
      return fail(session, role, stream, fault)
    }
    stream.pointee.activeAt = now
    count(stream, role, content.count)
    if endStream { leg.pointee.hasEnded = true }
    if content.count == 0 && !endStream {
      giveBack(session, stream, role, header.length)
      _ = spend(session, role)
      return
    }
    side.pointee.idleFrames.earn(1)
    // Padding goes no further.
    if header.length > content.count { giveBack(session, stream, role, header.length &- content.count) }
    if stream.pointee.isAnswered, role == .client {
      giveBack(session, stream, role, content.count)
      return finishIfDone(session, stream)
    }
    deliver(session, stream, from: role, payload + content.start, content.count)
  }

  /// DATA of a stream that is over, or never was.
  private func takeStrayData(_ session: SessionPointer, _ role: Role, _ header: FrameHeader) {
    if isIdle(session, role, header.stream) { return fail(session, role, .frameOnIdleStream) }
    giveBack(session, nil, role, header.length)
    // A server can not know yet that its stream was given up.
    guard role == .client, spend(session, role) else { return }
    if header.stream <= session.pointee.lastServed, !session.pointee.wasReset(header.stream) {
      refuse(session, header.stream, .frameOnClosedStream)
    }
  }

  /// Takes octets to the other side, now or when its windows let them through. `leg.hasEnded` says whether they are the
  /// last ones.
  func deliver(
    _ session: SessionPointer, _ stream: StreamPointer, from role: Role, _ bytes: UnsafePointer<UInt8>, _ count: Int
  ) {
    if stream.pointee.exchange != nil { return take(session, stream, bytes, count) }
    let leg = stream.pointee.leg(role)
    let to = role.other
    let other = stream.pointee.leg(to)
    let window = session.pointee.side(to)
    guard leg.pointee.queue.count == 0,
      count == 0 || (count <= other.pointee.sendWindow.octets && count <= window.pointee.sendWindow.octets)
    else {
      guard leg.pointee.queue.add(bytes, count, &http2Work().chunks) else {
        return fail(session, role, stream, .windowExceeded)
      }
      session.pointee.side(role).pointee.queued &+= count
      return
    }
    let endStream = leg.pointee.hasEnded
    send(session, stream, from: role, bytes, count, endStream: endStream)
    sent(session, stream, to: to, endStream: endStream)
  }

  /// Writes one DATA frame, for which there are windows and room.
  private func send(
    _ session: SessionPointer, _ stream: StreamPointer, from role: Role, _ bytes: UnsafePointer<UInt8>, _ count: Int,
    endStream: Bool
  ) {
    let to = role.other
    let other = stream.pointee.leg(to)
    let side = session.pointee.side(to)
    other.pointee.sendWindow.take(count)
    side.pointee.sendWindow.take(count)
    // They may bring updates of two windows every few kilobytes, and a PING.
    side.pointee.idleFrames.earn(UInt64(4 &+ count >> 10))
    let number = other.pointee.number
    write(session, to) { $0.putData(stream: number, bytes, count, endStream: endStream) }
    if stream.pointee.leg(role).pointee.number != 0 { giveBack(session, stream, role, count) }
  }

  /// Lets a side send as much more as has left.
  /// - Parameter stream: nil: it sends nothing more on it.
  func giveBack(_ session: SessionPointer, _ stream: StreamPointer?, _ role: Role, _ count: Int) {
    let side = session.pointee.side(role)
    let increment = side.pointee.receiveWindow.giveBack(count)
    if increment > 0 { write(session, role) { $0.putWindowUpdate(stream: 0, increment: increment) } }
    guard let leg = stream?.pointee.leg(role), leg.pointee.state.expects else { return }
    let ofStream = leg.pointee.receiveWindow.giveBack(count)
    guard ofStream > 0 else { return }
    let number = leg.pointee.number
    write(session, role) { $0.putWindowUpdate(stream: number, increment: ofStream) }
  }

  // MARK: Queues

  /// Sends on what waits and may go now, a frame of each stream in turn.
  /// - Returns: whether something did.
  func passQueues(_ session: SessionPointer) -> Bool {
    let fromClient = passQueues(session, from: .client)
    let fromServer = passQueues(session, from: .server)
    return fromClient || fromServer
  }

  private func passQueues(_ session: SessionPointer, from role: Role) -> Bool {
    var moved = false
    let side = session.pointee.side(role)
    var isStuck = false
    while side.pointee.queued > 0, !isStuck, !session.pointee.isClosing {
      isStuck = true
      // Streams that end leave their places to others, and are met again in the next round.
      var left = session.pointee.count
      while left > 0, session.pointee.count > 0 {
        left &-= 1
        session.pointee.turn = (session.pointee.turn &+ 1) % session.pointee.count
        let stream = session.pointee.streams[session.pointee.turn]
        guard stream.pointee.leg(role).pointee.queue.count > 0 else { continue }
        guard hasRoomForFrame(session) else { return moved }
        if passQueue(session, stream, from: role) {
          moved = true
          isStuck = false
        }
      }
    }
    return moved
  }

  private func hasRoomForFrame(_ session: SessionPointer) -> Bool {
    // Trailers may follow the last octets.
    let bound = OctetWriter.headersBound(limits.head)
    return hasRoom(session, .client, bound) && hasRoom(session, .server, bound)
  }

  private func passQueue(_ session: SessionPointer, _ stream: StreamPointer, from role: Role) -> Bool {
    let leg = stream.pointee.leg(role)
    let to = role.other
    let window = min(
      stream.pointee.leg(to).pointee.sendWindow.octets, session.pointee.side(to).pointee.sendWindow.octets)
    let front = leg.pointee.queue.front
    let count = min(front.count, window)
    guard count > 0, let bytes = front.baseAddress else { return false }
    let isLast = count == leg.pointee.queue.count
    let endStream = isLast && leg.pointee.hasEnded && leg.pointee.trailers == nil
    session.pointee.side(role).pointee.queued &-= count
    stream.pointee.activeAt = now
    send(session, stream, from: role, bytes, count, endStream: endStream)
    let work = http2Work()
    leg.pointee.queue.drop(count, &work.chunks)
    guard isLast, let memory = leg.pointee.trailers else {
      sent(session, stream, to: to, endStream: endStream)
      return true
    }
    work.list.restore(from: memory)
    leg.pointee.trailers = nil
    buffers.give(memory)
    pass(session, stream, to: to, &work.list, endStream: true)
    return true
  }

  /// Drops what of a side waits in a stream.
  func dropQueue(_ session: SessionPointer, _ stream: StreamPointer, from role: Role) {
    let leg = stream.pointee.leg(role)
    let count = leg.pointee.queue.count
    if count > 0 {
      session.pointee.side(role).pointee.queued &-= count
      leg.pointee.queue.dropAll(&http2Work().chunks)
      if leg.pointee.number != 0 { giveBack(session, stream, role, count) }
    }
    if let memory = leg.pointee.trailers {
      buffers.give(memory)
      leg.pointee.trailers = nil
    }
  }
}
