// Deadlines of routed exchanges, to the millisecond.
extension Worker {
  /// Sees to it that the exchange is looked at when its next deadline comes. A timer that is set for earlier will do.
  func setTimer(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    guard let deadline = connection.deadlines.next(activeAt: c.pointee.activeAt) else { return }
    routing?.timers.set(connection.number, at: deadline)
  }

  /// Does what is due.
  func fireTimers() {
    guard let work = routing else { return }
    work.lines.flushIfDue(now: now)
    while let timer = work.timers.take(until: now) {
      let connection = work[timer.number]
      guard let c = connection.connection else { continue }
      let stamp = connection.stamp
      expire(c, connection)
      if connection.stamp == stamp { setTimer(c, connection) }
    }
  }

  private func expire(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    let deadlines = connection.deadlines
    func isDue(_ deadline: UInt64) -> Bool { RoutedDeadlines.isDue(deadline, now) }
    func isIdle(for duration: UInt64) -> Bool { duration != 0 && isDue(c.pointee.activeAt.later(by: duration)) }
    if isDue(deadlines.route) {
      counters.timeouts.add()
      connection.cluster?.metrics.timedOut()
      if c.pointee.response == .head { connection.note(.timedOut(isConnected: c.pointee.isConnected)) }
      connection.notes.cause = .routeTimeout
      give(c, status: 504, reason: "the server did not answer in the route's time")
    } else if isDue(deadlines.request) {
      connection.notes.cause = .requestTimeout
      give(c, status: 408, reason: "the request did not end in time")
    } else if isDue(deadlines.resume) {
      resume(c, connection)
    } else if isDue(deadlines.connect), !c.pointee.isConnected {
      connection.cluster?.metrics.connectFailed()
      counters.upstreamFailures.add()
      fail(c, connection, .connect, status: 503, reason: "the server did not take the connection in time")
    } else if isDue(deadlines.attempt) || isIdle(for: deadlines.attemptIdle) {
      counters.timeouts.add()
      connection.cluster?.metrics.timedOut()
      fail(c, connection, .timeout, status: 504, reason: "the server did not answer in the time of an attempt")
    } else if isIdle(for: deadlines.idle) {
      connection.notes.cause = .idleTimeout
      let hasRequest = c.pointee.request != .body && c.pointee.request != .discard
      give(
        c, status: hasRequest ? 504 : 408,
        reason: hasRequest ? "the server did not answer in time" : "the request did not end in time")
    } else {
      connection.deadlines.connect = c.pointee.isConnected ? 0 : deadlines.connect
      return
    }
    if c.pointee.request != .closed { drive(c) }
  }

  /// Ends an exchange whose time is over: by an answer, or by a reset when there has been part of one.
  private func give(_ c: ConnectionPointer, status: Int, reason: StaticString) {
    // Before the response, or before the attempt.
    let isUnanswered = c.pointee.response == .head || c.pointee.request == .paused
    guard isUnanswered, c.pointee.upstream.pending == 0 else { return abort(c, resets: true) }
    failUpstream(c, status: status, reason: reason)
  }
}
