#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What a step of one direction came to.
enum Step {
  case moved
  /// Nothing can be done before an event comes.
  case blocked
  case needsMore
}

extension Worker {
  /// Moves everything that can be moved on a connection, in both directions.
  func drive(_ c: ConnectionPointer) {
    if c.pointee.request == .http2 { return driveHTTP2(c) }
    budget = Self.stepsPerTurn
    c.pointee.activeAt = now
    while c.pointee.request != .closed {
      let forward = pumpRequest(c)
      if c.pointee.request == .closed { return }
      if c.pointee.request == .http2 { return driveHTTP2(c) }
      let back = pumpResponse(c)
      if c.pointee.request == .closed { return }
      if budget <= 0 {
        enqueue(c)
        break
      }
      if !forward && !back { break }
    }
    settle(&c.pointee.client, c)
    settle(&c.pointee.upstream, c)
    if outbox != nil { passIfAtRest(c) }
  }

  /// Gives scratch memory back: what is still held moves to a buffer of the connection's own.
  @inline(__always)
  func settle(_ side: inout Endpoint, _ c: ConnectionPointer) {
    guard let base = side.base else { return }
    let held = side.end &- side.start
    if held == 0 {
      if !side.isScratch { buffers.give(base) }
      side.base = nil
      side.clear()
    } else if side.isScratch {
      keep(&side, base, held)
    }
  }

  @inline(never)
  private func keep(_ side: inout Endpoint, _ base: UnsafeMutablePointer<UInt8>, _ held: Int) {
    side.isScratch = false
    guard let buffer = buffers.take() else {
      side.base = nil
      side.clear()
      side.hasEnded = true
      side.failure = ENOMEM
      return
    }
    memcpy(buffer, base + side.start, held)
    side.base = buffer
    side.validated &-= side.start
    side.end = held
    side.start = 0
  }

  /// Drops what a side holds.
  func release(_ side: inout Endpoint) {
    if let base = side.base, !side.isScratch { buffers.give(base) }
    side.base = nil
    side.isScratch = false
    side.clear()
  }

  /// Memory with room for more octets of a side; nil when its buffer is full.
  @inline(__always)
  func room(_ side: inout Endpoint, _ scratch: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8>? {
    guard let base = side.base else {
      side.base = scratch
      side.isScratch = true
      side.clear()
      return scratch
    }
    if side.end == side.start {
      side.clear()
    } else if side.end >= Endpoint.capacity {
      side.compact()
      if side.end >= Endpoint.capacity { return nil }
    }
    return base
  }

  // MARK: Sockets, and streams in their place

  /// As recv(2); memory is there and has room.
  @inline(__always)
  private func receive(_ side: inout Endpoint, _ memory: UnsafeMutablePointer<UInt8>) -> Endpoint.Receipt {
    guard let stream = side.stream else { return side.receive(memory) }
    return receive(stream, &side, memory)
  }

  /// As send(2).
  @inline(__always)
  private func send(_ side: inout Endpoint, _ bytes: UnsafePointer<UInt8>, _ count: Int, isLast: Bool) -> Int {
    guard let stream = side.stream else { return Socket.send(side.fd, bytes, count, isLast: isLast) }
    return send(stream, bytes, count)
  }

  // MARK: Client to server

  private func pumpRequest(_ c: ConnectionPointer) -> Bool {
    var progress = false
    while budget > 0 {
      if c.pointee.client.pending > 0 {
        switch sendUpstream(c) {
        case .moved: progress = true
        case .blocked: return progress
        case .needsMore: return true
        }
        if c.pointee.client.pending > 0 { return progress }
      }
      switch examineRequest(c) {
      case .moved:
        progress = true
        continue
      case .blocked: return progress
      case .needsMore: break
      }
      if c.pointee.request == .closed { return true }
      if c.pointee.client.hasEnded {
        return clientEnded(c) || progress
      }
      guard c.pointee.client.isReadable, let memory = room(&c.pointee.client, clientScratch) else { return progress }
      budget &-= 1
      switch receive(&c.pointee.client, memory) {
      case .octets: progress = true
      case .nothing: return progress
      case .ended: progress = true
      case .failed:
        abort(c, resets: false)
        return true
      }
    }
    return progress
  }

  /// `.needsMore` tells that the server's side has failed and the state has changed.
  private func sendUpstream(_ c: ConnectionPointer) -> Step {
    guard c.pointee.upstream.isOpen, c.pointee.upstream.isWritable, let base = c.pointee.client.base else {
      return .blocked
    }
    let wanted = c.pointee.client.pending
    let count = send(&c.pointee.upstream, base + c.pointee.client.start, wanted, isLast: false)
    if count > 0 {
      c.pointee.client.start &+= count
      c.pointee.requestOctets &+= UInt64(count)
      if c.pointee.upstream.stream == nil { c.pointee.isConnected = true }
      // A short write is followed by an event when there is room again.
      if count < wanted { c.pointee.upstream.isWritable = false }
      return .moved
    }
    if count == -Int(EAGAIN) || count == -Int(EINTR) {
      c.pointee.upstream.isWritable = count == -Int(EINTR)
      return .blocked
    }
    upstreamRefusedOctets(c, error: Int32(-count))
    return .needsMore
  }

  @inline(__always)
  private func examineRequest(_ c: ConnectionPointer) -> Step {
    let unexamined = c.pointee.client.unexamined
    switch c.pointee.request {
    case .head:
      guard unexamined > 0 else { return .needsMore }
      if c.pointee.startedAt == 0, let step = beginHTTP2(c) { return step }
      return readRequestHead(c)
    case .body: return readRequestBody(c, forwards: true)
    case .discard: return readRequestBody(c, forwards: false)
    case .tunnel:
      guard unexamined > 0 else { return .needsMore }
      c.pointee.client.validated = c.pointee.client.end
      return .moved
    case .linger:
      c.pointee.discarded &+= UInt64(unexamined)
      c.pointee.client.clear()
      if c.pointee.discarded > Self.discardLimit {
        closeConnection(c)
        return .blocked
      }
      return .needsMore
    case .complete:
      // What a client sends ahead waits in the socket; it is read only to learn whether the client has gone.
      return c.pointee.client.isHangingUp || c.pointee.client.hasEnded ? .needsMore : .blocked
    case .paused, .http2, .closed: return .blocked
    }
  }

  /// - Returns: whether something has changed.
  private func clientEnded(_ c: ConnectionPointer) -> Bool {
    switch c.pointee.request {
    case .head, .linger, .discard:
      closeConnection(c)
      return true
    case .body:
      abort(c, resets: true)
      return true
    case .complete, .tunnel:
      // A client that has said all it had to say may still be waiting for the answer, and the server is told so, as it
      // would be without a proxy; unless further requests wait here.
      guard !c.pointee.sentHalfClose, c.pointee.client.unexamined == 0, c.pointee.upstream.fd >= 0 else { return false }
      c.pointee.sentHalfClose = true
      if c.pointee.request == .tunnel || !c.pointee.isDenied {
        shutdown(c.pointee.upstream.fd, Int32(SHUT_WR))
      }
      if c.pointee.request == .tunnel && c.pointee.upstream.hasEnded && c.pointee.upstream.pending == 0 {
        finishTunnel(c)
      }
      return true
    case .paused, .http2, .closed: return true
    }
  }

  // MARK: Server to client

  private func pumpResponse(_ c: ConnectionPointer) -> Bool {
    var progress = false
    while budget > 0 {
      if c.pointee.upstream.pending > 0 {
        switch sendToClient(c) {
        case .moved: progress = true
        case .blocked: return progress
        case .needsMore: return true
        }
        if c.pointee.upstream.pending > 0 { return progress }
      }
      switch examineResponse(c) {
      case .moved:
        progress = true
        continue
      case .blocked: return progress
      case .needsMore: break
      }
      if c.pointee.request == .closed || !c.pointee.upstream.isOpen { return progress }
      if c.pointee.upstream.hasEnded { return upstreamEnded(c) || progress }
      guard c.pointee.upstream.isReadable, let memory = room(&c.pointee.upstream, upstreamScratch) else {
        return progress
      }
      budget &-= 1
      switch receive(&c.pointee.upstream, memory) {
      case .octets:
        c.pointee.isConnected = true
        progress = true
      case .nothing: return progress
      case .ended, .failed: progress = true
      }
    }
    return progress
  }

  private func sendToClient(_ c: ConnectionPointer) -> Step {
    guard c.pointee.client.isWritable, let base = c.pointee.upstream.base else { return .blocked }
    let wanted = c.pointee.upstream.pending
    let isLast = c.pointee.response == .complete && c.pointee.request == .complete && endsWithExchange(c)
    let count = send(&c.pointee.client, base + c.pointee.upstream.start, wanted, isLast: isLast)
    if count > 0 {
      c.pointee.upstream.start &+= count
      c.pointee.responseOctets &+= UInt64(count)
      c.pointee.hasForwardedResponse = true
      if count < wanted { c.pointee.client.isWritable = false }
      return .moved
    }
    if count == -Int(EAGAIN) || count == -Int(EINTR) {
      c.pointee.client.isWritable = count == -Int(EINTR)
      return .blocked
    }
    abort(c, resets: false)
    return .needsMore
  }

  @inline(__always)
  private func examineResponse(_ c: ConnectionPointer) -> Step {
    let unexamined = c.pointee.upstream.unexamined
    switch c.pointee.response {
    case .idle:
      // Octets that no request asked for can only confuse what comes after them.
      if unexamined > 0 { closeUpstream(c) }
      return c.pointee.upstream.isOpen ? .needsMore : .blocked
    case .head: return unexamined > 0 ? readResponseHead(c) : .needsMore
    case .body: return readResponseBody(c)
    case .complete:
      if c.pointee.request != .complete {
        // An answer that came before the request's end: the rest goes on, unless the server will not read it.
        // Of a stream the rest need not be read to find the next request.
        let isReset = c.pointee.upstream.stream != nil && c.pointee.upstream.isHangingUp
        let isUnwanted =
          c.pointee.request == .body && (c.pointee.responseCloses || isReset)
          || c.pointee.request == .discard && c.pointee.client.stream != nil
        guard isUnwanted else { return .blocked }
        c.pointee.closesAfter = c.pointee.closesAfter || isReset
        c.pointee.request = .complete
        c.pointee.client.start = c.pointee.client.validated
      }
      finishExchange(c)
      return .moved
    case .tunnel:
      guard unexamined > 0 else { return .needsMore }
      c.pointee.upstream.validated = c.pointee.upstream.end
      return .moved
    case .local:
      return continueAnswer(c)
    }
  }
}
