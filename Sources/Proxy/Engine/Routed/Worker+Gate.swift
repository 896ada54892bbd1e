import Routing

// The limits of clusters (`CircuitBreakers`), which requests pass with each attempt.
extension Worker {
  /// Lets the attempt of a request, whose head stands unread in the client's buffer, go to its cluster.
  /// - Returns: nil where it waits, or has been answered.
  func enter(_ c: ConnectionPointer, _ connection: RoutedConnection, _ cluster: RoutedCluster) -> ClusterGate? {
    let isHigh = connection.isHighPriority
    let gate = cluster.metrics.gates.gate(isHighPriority: isHigh)
    let ticket = connection.nextTicket()
    let entry = gate.enter(
      cluster.breakers.thresholds(isHighPriority: isHigh),
      ClusterGate.Waiter(mailbox: mailbox, connection: connection.number, ticket: ticket),
      wasWoken: connection.wasWoken)
    connection.wasWoken = false
    switch entry {
    case .entered: return gate
    case .waiting:
      connection.wait = RoutedConnection.Wait(gate: gate, ticket: ticket, mailbox: mailbox)
      c.pointee.request = .paused
      connection.isComplete = false
      if head.framing == .none, connection.deadlines.route == 0, connection.timeout > 0 {
        connection.deadlines.route = now &+ connection.timeout
      }
      setTimer(c, connection)
    case .full:
      cluster.metrics.overflowed()
      connection.notes.cause = .overflow
      answerRouted(c, status: 503, reason: "the route's cluster has as many requests as it may")
    }
    return nil
  }

  /// There may be room for a request that waits.
  func admit(_ wake: WorkerMailbox.Wake) {
    guard let connection = routing?.connection(wake.waiter.connection), connection.wait?.ticket == wake.waiter.ticket,
      let c = connection.connection
    else { return wake.gate.wakeNext() }
    connection.wait = nil
    connection.wasWoken = true
    guard let bytes = readHeadAgain(c, connection) else { return wake.gate.wakeNext() }
    attempt(c, bytes, connection)
    // It was answered before it could enter.
    if connection.wasWoken {
      connection.wasWoken = false
      wake.gate.wakeNext()
    }
    if c.pointee.request != .closed { drive(c) }
  }

  /// Reads the head again of a request that has waited where it came.
  /// - Returns: where it stands; nil where that can not be, and the connection has ended.
  func readHeadAgain(_ c: ConnectionPointer, _ connection: RoutedConnection) -> UnsafeMutablePointer<UInt8>? {
    guard let base = c.pointee.client.base,
      head.parse(base + c.pointee.client.validated, length: connection.held.headLength, fields: &fields) == nil
    else {
      abort(c, resets: true)
      return nil
    }
    c.pointee.request = .head
    c.pointee.closesAfter = c.pointee.closesAfter || isDraining
    return base + c.pointee.client.validated
  }

  /// Whether the cluster lets the request be sent once more.
  func beginRetry(_ connection: RoutedConnection) -> Bool {
    connection.endRetry()
    guard let cluster = connection.cluster else { return false }
    let gate = cluster.metrics.gates.gate(isHighPriority: connection.isHighPriority)
    guard gate.beginRetry(cluster.breakers.thresholds(isHighPriority: connection.isHighPriority)) else {
      cluster.metrics.retryOverflowed()
      return false
    }
    connection.retryGate = gate
    return true
  }
}
