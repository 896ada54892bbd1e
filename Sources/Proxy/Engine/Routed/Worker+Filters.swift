import Routing

// The filters of a listener: they see a request when it has its route and has not taken it, and its response last. A listener
// without any costs its requests one branch.
extension Worker {
  /// Lets the filters see the request, or go on with it where they had it wait.
  /// - Returns: whether it takes its route now; else it waits, or has been answered.
  func passFilters(_ c: ConnectionPointer, _ request: RequestView, _ connection: RoutedConnection) -> Bool {
    guard let work = routing, var pass = connection.filters else { return true }
    let outcome = pass.run(request, now: now) { work.random() }
    connection.filters = pass
    switch outcome {
    case .proceed: return true
    case .wait(let duration):
      c.pointee.request = .paused
      connection.notes.flags.insert(ResponseFlags(.delayInjected))
      connection.deadlines = RoutedDeadlines()
      connection.deadlines.resume = now &+ duration.nanoseconds
      setTimer(c, connection)
    case .answer(let answer):
      connection.notes.cause = pass.cause(of: answer)
      let isFailure = answer.response.status >= 400
      self.answer(c, answer.response, pass.edits(request, answer), failure: isFailure ? answer.reason : nil)
    }
    return false
  }

  /// The wait that a filter wanted is over. The request has stayed where it came.
  func resumeFilters(_ c: ConnectionPointer, _ connection: RoutedConnection, _ pass: FilterPass) {
    guard let bytes = readHeadAgain(c, connection) else { return }
    connection.deadlines.idle = connection.listener?.manager.streamIdleTimeout.nanoseconds ?? 0
    let request = RequestView(requestFacts(bytes), connection: connection.facts)
    guard passFilters(c, request, connection) else { return }
    follow(c, bytes, request, pass.result, connection)
  }

  /// Whether the body of the request in `head` is allowed, as far as that is known; else the request has been answered.
  func limitBody(_ c: ConnectionPointer, _ pass: FilterPass) -> Bool {
    guard let maximum = pass.maximumBody.map(UInt64.init) else { return true }
    c.pointee.maximumBody = maximum
    guard case .length(let count) = head.framing, count > maximum else { return true }
    pass.noteTooLarge()
    routed(c)?.notes.cause = .tooLarge
    answerRouted(c, status: 413, reason: Self.tooLarge)
    return false
  }

  /// A body whose length was not said has become larger than it may.
  func bodyExceeded(_ c: ConnectionPointer) -> Step {
    routed(c)?.filters?.noteTooLarge()
    routed(c)?.notes.cause = .tooLarge
    guard c.pointee.response == .head else {
      abort(c, resets: true)
      return .blocked
    }
    failUpstream(c, status: 413, reason: Self.tooLarge)
    return .moved
  }

  private static let tooLarge: StaticString = "the request is larger than the listener's buffer filter allows"
}

extension RoutedConnection {
  /// Whether anything changes the headers of the exchange's response.
  var changesResponses: Bool { choice?.changesResponses == true || filters?.changesResponses == true }

  /// How the headers of an answer of the proxy's own change.
  func edits(_ request: RequestView, to response: LocalResponse) -> HeaderEdits {
    choice?.responseEdits(request, to: response, filters: filters) ?? filters?.edits(request) ?? HeaderEdits()
  }
}
