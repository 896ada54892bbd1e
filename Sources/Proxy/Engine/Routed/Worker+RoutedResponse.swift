import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// Does with the final response in `responseHead` what its route wants done.
  /// - Returns: false when the client gets another one instead.
  func takeRouted(_ c: ConnectionPointer) -> Bool {
    guard let connection = routed(c), let choice = connection.choice, let base = c.pointee.upstream.base else {
      return true
    }
    let status = UInt16(truncatingIfNeeded: responseHead.status)
    connection.note(.answered(status))
    if connection.hasRetries, let retry = connection.retry, canRewind(c, connection) {
      let headers = fields.facts(base + c.pointee.upstream.validated, facts)
      if retry.retries(status: status, headers: headers), beginRetry(connection) {
        scheduleRetry(c, connection, retry)
        return false
      }
    }
    if connection.changesResponses || !connection.cookies.isEmpty, !rewriteResponse(c, connection, choice) {
      return false
    }
    noteResponse(c, connection)
    connection.deadlines.endAttempt()
    connection.endRetry()
    // What is a tunnel from here on ends when its ends want it to.
    if responseHead.isTunnel { connection.deadlines.route = 0 }
    releaseHeld(c, connection)
    return true
  }

  /// The server's connection ended, or did not come about, before the response began.
  func routedEnded(_ c: ConnectionPointer, error: Int32) {
    guard let connection = routed(c) else { return }
    if c.pointee.upstream.isRefused {
      return fail(c, connection, .refused, status: 503, reason: "the server refused the request")
    }
    // What was not sent at all may be sent again, whatever it is.
    let isUnsent = c.pointee.upstreamRequests > 1 && c.pointee.requestOctets == 0
    if !c.pointee.sawResponse, c.pointee.isReplayable || isUnsent, let bytes = rewind(c, connection) {
      return attempt(c, bytes, connection, again: true)
    }
    guard c.pointee.isConnected else {
      connection.cluster?.metrics.connectFailed()
      counters.upstreamFailures.add()
      return fail(c, connection, .connect, status: 503, reason: Self.reason(ofConnect: error))
    }
    fail(
      c, connection, c.pointee.requestOctets == 0 ? .resetBeforeRequest : .reset, status: 503,
      reason: "the server closed the connection before it answered")
  }

  /// An attempt has come to nothing: another one, or an answer of the proxy's own.
  func fail(
    _ c: ConnectionPointer, _ connection: RoutedConnection, _ failure: RetryRules.Failure, status: Int,
    reason: StaticString
  ) {
    let isConnected = c.pointee.isConnected
    connection.note(failure == .timeout ? .timedOut(isConnected: isConnected) : .failed(isConnected: isConnected))
    // Nothing can follow the half of an interim response.
    guard c.pointee.upstream.pending == 0 else { return abort(c, resets: true) }
    if connection.hasRetries, let retry = connection.retry, retry.retries(failure), canRewind(c, connection),
      beginRetry(connection)
    {
      scheduleRetry(c, connection, retry)
    } else {
      connection.note(failure, hasProtocolError: status == 502)
      failUpstream(c, status: status, reason: reason)
    }
  }

  private func scheduleRetry(_ c: ConnectionPointer, _ connection: RoutedConnection, _ retry: RetryRules) {
    counters.retries.add()
    if let listener = connection.listener, let choice = connection.choice {
      listener.metrics(choice, cluster: connection.cluster).retried()
    }
    connection.noteRetry()
    connection.leave(failed: true)
    closeUpstream(c)
    // It is in what is held.
    c.pointee.client.start = c.pointee.client.validated
    connection.isComplete = c.pointee.request == .complete
    c.pointee.request = .paused
    c.pointee.response = .head
    connection.deadlines.endAttempt()
    let random = routing?.random() ?? 0
    connection.deadlines.resume = now.later(by: retry.delay(before: connection.retries, random: random).nanoseconds)
    setTimer(c, connection)
  }

  /// The wait before an attempt is over.
  func resume(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    connection.deadlines.resume = 0
    if connection.forwarding == nil, let pass = connection.filters { return resumeFilters(c, connection, pass) }
    // Endpoints may have come and gone.
    if let name = connection.cluster?.name, let current = listener(connection.policy.listener)?.cluster(name) {
      connection.cluster = current
    }
    guard let bytes = rewind(c, connection) else {
      return failUpstream(c, status: 503, reason: "the proxy has no resources left")
    }
    attempt(c, bytes, connection)
  }
}
