#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  func readResponseHead(_ c: ConnectionPointer) -> Step {
    guard let base = c.pointee.upstream.base else { return .needsMore }
    c.pointee.sawResponse = true
    let outcome = c.pointee.responseReader.readHead(
      base + c.pointee.upstream.validated, count: c.pointee.upstream.unexamined, limits: limits,
      context: c.pointee.context, fields: &fields, head: &responseHead)
    switch outcome {
    case .incomplete: return .needsMore
    case .fault(let fault):
      refuseResponse(c, reason: fault.reason)
      return .moved
    case .head:
      return take(c)
    }
  }

  private func take(_ c: ConnectionPointer) -> Step {
    if responseHead.isTunnel && c.pointee.request != .complete {
      refuseResponse(c, reason: "the server switched protocols before the request had ended")
      return .moved
    }
    if !responseHead.isInterim {
      if c.pointee.routed != 0, !takeRouted(c) { return .moved }
      restoreClose(c)
    }
    c.pointee.upstream.validated &+= responseHead.length
    c.pointee.responseReader = ResponseReader()
    if responseHead.isInterim {
      counters.responses1xx.add()
      return .moved
    }
    c.pointee.statusCode = UInt16(truncatingIfNeeded: responseHead.status)
    c.pointee.responseCloses = responseHead.closes
    if responseHead.isTunnel {
      c.pointee.response = .tunnel
      c.pointee.request = .tunnel
      return .moved
    }
    c.pointee.responseBody = BodyReader(responseHead.framing)
    c.pointee.response = responseHead.framing == .none ? .complete : .body
    // What has come of the body is sent together with the head.
    return c.pointee.response == .body && c.pointee.upstream.unexamined > 0 ? readResponseBody(c) : .moved
  }

  /// The server broke the protocol, which is to a route's retry policy as if it had closed the connection.
  private func refuseResponse(_ c: ConnectionPointer, reason: StaticString) {
    if let connection = routed(c) {
      fail(c, connection, .reset, status: 502, reason: reason)
    } else {
      failUpstream(c, status: 502, reason: reason)
    }
  }

  func readResponseBody(_ c: ConnectionPointer) -> Step {
    guard let base = c.pointee.upstream.base, c.pointee.upstream.unexamined > 0 else { return .needsMore }
    var used = 0
    let outcome = c.pointee.responseBody.consume(
      base + c.pointee.upstream.validated, count: c.pointee.upstream.unexamined, limits: limits, used: &used)
    c.pointee.upstream.validated &+= used
    switch outcome {
    case .incomplete: return .moved
    case .complete:
      c.pointee.response = .complete
      return .moved
    case .fault:
      abort(c, resets: true)
      return .blocked
    }
  }

  /// The server's side has ended or failed and nothing of it is left to examine.
  /// - Returns: whether something has changed.
  func upstreamEnded(_ c: ConnectionPointer) -> Bool {
    switch c.pointee.response {
    case .idle:
      closeUpstream(c)
    case .complete, .local:
      return false
    case .head:
      endedBeforeResponse(c, error: c.pointee.upstream.failure)
    case .body:
      if c.pointee.responseBody.endsWithConnection && c.pointee.upstream.failure == 0 {
        c.pointee.response = .complete
      } else {
        routed(c)?.note(.failed(isConnected: true))
        // Without a reset a client could take what it has for the whole.
        abort(c, resets: true)
      }
    case .tunnel:
      if c.pointee.upstream.failure != 0 {
        abort(c, resets: true)
      } else if c.pointee.client.hasEnded && c.pointee.client.pending == 0 {
        finishTunnel(c)
      } else if !c.pointee.closesAfter {
        c.pointee.closesAfter = true
        shutdown(c.pointee.client.fd, Int32(SHUT_WR))
      } else {
        return false
      }
    }
    return true
  }

  private func endedBeforeResponse(_ c: ConnectionPointer, error: Int32) {
    if c.pointee.routed != 0 { return routedEnded(c, error: error) }
    if !c.pointee.sawResponse && c.pointee.isReplayable && replay(c) { return }
    if !c.pointee.isConnected {
      counters.upstreamFailures.add()
      failUpstream(c, status: 503, reason: Self.reason(ofConnect: error))
    } else {
      failUpstream(c, status: 502, reason: "the server closed the connection before it answered")
    }
  }

  static func reason(ofConnect error: Int32) -> StaticString {
    switch error {
    case ECONNREFUSED: "the server refused the connection"
    case EHOSTUNREACH, ENETUNREACH: "the server can not be reached"
    case ETIMEDOUT: "the server did not take the connection in time"
    case EADDRNOTAVAIL, EADDRINUSE: "no port is left to reach the server from"
    case EMFILE, ENFILE, ENOMEM, ENOBUFS: "the proxy has no resources left"
    default: "the connection to the server failed"
    }
  }

  /// The server does not take what is sent to it. It may have answered before it closed, so the answer is read first.
  func upstreamRefusedOctets(_ c: ConnectionPointer, error: Int32) {
    if c.pointee.response == .tunnel { return abort(c, resets: true) }
    c.pointee.client.start = c.pointee.client.validated
    if c.pointee.request == .body {
      c.pointee.request = .complete
      c.pointee.closesAfter = true
    }
    c.pointee.upstream.isReadable = true
    c.pointee.upstream.isHangingUp = true
    // A socket reports its error once: this one is not seen by the read that follows.
    if !c.pointee.isConnected {
      c.pointee.upstream.hasEnded = true
      c.pointee.upstream.failure = error
    }
  }

  /// Sends the request a second time over a new connection: the server had closed the old one between two requests.
  private func replay(_ c: ConnectionPointer) -> Bool {
    guard let block = c.pointee.block else { return false }
    let count = c.pointee.headCount
    let waiting = c.pointee.client.unexamined
    guard count &+ waiting <= Endpoint.capacity else { return false }
    closeUpstream(c)
    c.pointee.client.start = c.pointee.client.validated
    c.pointee.client.compact()
    guard let memory = room(&c.pointee.client, clientScratch) else { return false }
    memmove(memory + count, memory, waiting)
    memcpy(memory, block, count)
    c.pointee.client.start = 0
    c.pointee.client.validated = count
    c.pointee.client.end = count &+ waiting
    c.pointee.isReplayable = false
    c.pointee.closesAfter = isDraining || c.pointee.client.hasEnded
    c.pointee.sentHalfClose = false
    c.pointee.requestOctets = 0
    guard dial(c) else { return true }
    c.pointee.upstreamRequests = 1
    return true
  }

  /// Opens the connection to the server; answers 503 and returns false when that fails at once.
  func dial(_ c: ConnectionPointer) -> Bool {
    let error = connect(c)
    guard error != 0 else { return true }
    if c.pointee.routed != 0 {
      routedEnded(c, error: error)
    } else {
      counters.upstreamFailures.add()
      failUpstream(c, status: 503, reason: Self.reason(ofConnect: error))
    }
    return false
  }

  /// Opens the connection to the server.
  /// - Returns: errno when that fails at once, 0 when it is open or will be.
  func connect(_ c: ConnectionPointer) -> Int32 {
    c.pointee.isConnected = false
    c.pointee.upstreamRequests = 0
    c.pointee.connectStartedAt = now
    let client = c.pointee.dialsAsNode ? c.pointee.clientAddress.ofNode : c.pointee.clientAddress
    let fd = shared.dialer.dial(client: client, server: c.pointee.serverAddress)
    guard fd >= 0 else { return -fd }
    counters.upstreamConnections.add()
    Socket.setNoDelay(fd)
    c.pointee.upstream = Endpoint()
    c.pointee.upstream.fd = fd
    // On one machine the handshake is over when connect(2) returns; elsewhere the first write says EAGAIN.
    c.pointee.upstream.isWritable = true
    register(fd, Self.streamEvents, UInt64(UInt(bitPattern: c)) | 1)
    return 0
  }

  func closeUpstream(_ c: ConnectionPointer) {
    release(&c.pointee.upstream)
    if c.pointee.upstream.fd >= 0 { close(c.pointee.upstream.fd) }
    if let stream = c.pointee.upstream.stream { leave(stream) }
    c.pointee.upstream = Endpoint()
    c.pointee.upstreamRequests = 0
  }
}
