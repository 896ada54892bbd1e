import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// Request and response are complete and handed to the kernel.
  func finishExchange(_ c: ConnectionPointer) {
    report(c, isAborted: false)
    if endsWithExchange(c) {
      if !park(c) { closeUpstream(c) }
      linger(c)
      return
    }
    // Octets behind a complete response would be taken for the answer to the next request; a stream is for one.
    if c.pointee.upstream.unexamined > 0 || c.pointee.upstream.stream != nil { closeUpstream(c) }
    c.pointee.context = ResponseContext()
    c.pointee.requestReader = RequestReader()
    c.pointee.request = .head
    c.pointee.response = .idle
  }

  /// Whether the client's connection takes no further request.
  @inline(__always)
  func endsWithExchange(_ c: ConnectionPointer) -> Bool {
    c.pointee.closesAfter || c.pointee.requestCloses || c.pointee.responseCloses || isDraining
      || c.pointee.client.stream != nil
  }

  func finishTunnel(_ c: ConnectionPointer) {
    report(c, isAborted: false)
    closeConnection(c)
  }

  private func report(_ c: ConnectionPointer, isAborted: Bool) {
    guard c.pointee.hasExchange else { return }
    c.pointee.hasExchange = false
    count(status: c.pointee.statusCode)
    if isAborted { counters.aborted.add() }
    counters.requestOctets.add(c.pointee.requestOctets)
    counters.responseOctets.add(c.pointee.responseOctets)
    if log.isEnabled {
      let notes = c.pointee.routed == 0 ? nil : routingNotes(c)
      log.append(c.pointee, now: Clock.monotonic(), isAborted: isAborted, routing: notes)
    }
    if c.pointee.routed != 0 { endRouted(c, isAborted: isAborted) }
    if let block = c.pointee.block {
      blocks.give(block)
      c.pointee.block = nil
    }
  }

  func count(status: UInt16) {
    switch status / 100 {
    case 1: counters.responses1xx.add()
    case 2: counters.responses2xx.add()
    case 3: counters.responses3xx.add()
    case 4: counters.responses4xx.add()
    case 5: counters.responses5xx.add()
    default: break
    }
  }

  /// Ends the sending side and waits for the client's: closing with octets unread would reset the connection, and the
  /// reset may overtake the response (RFC 9112, 9.6).
  func linger(_ c: ConnectionPointer) {
    if c.pointee.client.fd < 0 {
      if let stream = c.pointee.client.stream { endOutput(stream) }
      return closeConnection(c)
    }
    c.pointee.response = .idle
    c.pointee.request = .linger
    c.pointee.discarded = 0
    c.pointee.client.clear()
    if c.pointee.client.hasEnded {
      closeConnection(c)
    } else {
      shutdown(c.pointee.client.fd, Int32(SHUT_WR))
    }
  }

  /// Ends a connection in the middle of things. With `resets` the client can not mistake what it got for the whole.
  func abort(_ c: ConnectionPointer, resets: Bool) {
    guard c.pointee.request != .closed else { return }
    report(c, isAborted: true)
    if resets { Socket.resetOnClose(c.pointee.client.fd) }
    if !park(c), c.pointee.upstream.fd >= 0 { Socket.resetOnClose(c.pointee.upstream.fd) }
    closeConnection(c)
  }

  func closeConnection(_ c: ConnectionPointer) {
    guard c.pointee.request != .closed else { return }
    report(c, isAborted: true)
    if c.pointee.http2 != nil { endSession(c) }
    if !park(c) { closeUpstream(c) }
    if c.pointee.routed != 0 { forgetRouted(c) }
    release(&c.pointee.client)
    if let stream = c.pointee.client.stream { leave(stream) }
    c.pointee.request = .closed
    if let block = c.pointee.block { blocks.give(block) }
    c.pointee.block = nil
    connections.remove(c)
    guard c.pointee.client.fd >= 0 else { return }
    close(c.pointee.client.fd)
    counters.closed.add()
    mailbox.load.subtract(1, ordering: .relaxed)
  }

  /// Ends what has waited too long.
  func sweep() {
    let limits = shared.timeouts
    let parkedLimit = limits.upstreamIdle.nanoseconds
    parked.end(since: now < parkedLimit ? 0 : now &- parkedLimit, revisionOtherThan: shared.resolver.revision)
    let head = limits.requestHead.nanoseconds
    let idle = limits.idle.nanoseconds
    let connect = limits.connect.nanoseconds
    let stall = limits.stall.nanoseconds
    let lingering = limits.linger.nanoseconds
    forEachConnection { c in
      let rest = self.now &- min(self.now, c.pointee.activeAt)
      // It has timers of its own.
      if c.pointee.hasExchange, c.pointee.routed != 0, self.hasRoutedExchange(c) { return }
      switch c.pointee.request {
      case .head:
        let (head, idle) = c.pointee.policy.listener == 0 ? (head, idle) : self.limitsBetweenRequests(c, head, idle)
        if c.pointee.headStartedAt != 0 {
          if self.now &- c.pointee.headStartedAt >= head { self.expireHead(c) }
        } else if rest >= idle {
          self.closeConnection(c)
        }
      case .linger:
        if rest >= lingering { self.closeConnection(c) }
      case .body, .complete, .discard:
        if c.pointee.upstream.isOpen && !c.pointee.isConnected && c.pointee.response == .head {
          if self.now &- c.pointee.connectStartedAt >= connect {
            self.counters.upstreamFailures.add()
            self.expire(c, status: 504, reason: "the server did not take the connection in time")
          }
        } else if rest >= stall {
          if c.pointee.request == .complete {
            self.expire(c, status: 504, reason: "the server did not answer in time")
          } else {
            self.expire(c, status: 408, reason: "the request did not end in time")
          }
        }
      case .tunnel:
        if rest >= stall { self.abort(c, resets: true) }
      case .http2: self.sweepHTTP2(c, limits)
      case .paused, .closed: break
      }
    }
  }

  private func expireHead(_ c: ConnectionPointer) {
    c.pointee.headStartedAt = 0
    c.pointee.client.start = c.pointee.client.end
    c.pointee.client.validated = c.pointee.client.end
    c.pointee.request = .complete
    closeUpstream(c)
    respond(c, status: 408, reason: "the request's head did not end in time", closes: true)
    drive(c)
  }

  private func expire(_ c: ConnectionPointer, status: Int, reason: StaticString) {
    guard !c.pointee.hasForwardedResponse, c.pointee.response == .head else { return abort(c, resets: true) }
    c.pointee.closesAfter = true
    failUpstream(c, status: status, reason: reason)
    drive(c)
  }
}
