import ProxyRules
import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// Sends the request in `head`, which stands at `received` as the client sent it, to an endpoint of its cluster.
  ///
  /// - Parameter again: The request goes to the same endpoint, by a new connection: that of before was closed by its server
  ///   between two requests.
  func attempt(
    _ c: ConnectionPointer, _ received: UnsafeMutablePointer<UInt8>, _ connection: RoutedConnection, again: Bool = false
  ) {
    guard let work = routing, let cluster = connection.cluster else { return }
    if !again {
      let reachable =
        c.pointee.clientAddress.address.isLoopback
        ? cluster : cluster.reachable(isIPv4: c.pointee.clientAddress.address.isIPv4)
      guard
        let endpoint = reachable?.pick(random: work.random(), hash: connection.hash, avoiding: connection.tried)
      else {
        cluster.metrics.hadNoEndpoint()
        connection.notes.cause = .noEndpoint
        return answerRouted(c, status: 503, reason: "the route's cluster has no endpoint")
      }
      guard let gate = enter(c, connection, cluster) else { return }
      connection.take(endpoint, gate)
    }
    guard let endpoint = connection.endpoint else { return }
    forgetJudgement(c)
    switch verdict(c, connection, endpoint) {
    case .denied(let rule, let reason, let isEgress):
      c.pointee.rule = rule
      c.pointee.isEgress = isEgress
      connection.dropReason = reason
      return refuse(c, connection)
    case .allowed(var policy):
      policy.listener = connection.policy.listener
      policy.service = connection.policy.service
      turn(c, to: endpoint.address, policy, isNew: again)
      c.pointee.dialsAsNode = connection.parties?.meetAtNode ?? false
    }
    let framing = head.framing
    guard var bytes = rewriteHead(c, received, connection, endpoint) else { return }
    observeSent(bytes, connection)
    if c.pointee.policy.egressProxyRules != 0 {
      guard let passed = passEgress(c, bytes) else { return leaveUnsent(c, connection) }
      bytes = passed
    }
    let decision = judge(c, bytes)
    if decision == .deny { return refuse(c, connection) }
    if bindsConnection(bytes) { c.pointee.isPrivate = true }
    if case .allowWithMismatches(let rule) = decision, !rewrite(c, bytes, rule: rule, by: recent) {
      return leaveUnsent(c, connection)
    }
    c.pointee.client.validated &+= head.length
    c.pointee.request = framing == .none ? .complete : .body
    c.pointee.response = .head
    c.pointee.responseReader = ResponseReader()
    if !c.pointee.upstream.isOpen, !reach(c, cluster, isNew: again) { return }
    c.pointee.isReplayable =
      c.pointee.upstreamRequests > 0 && head.isIdempotent && framing == .none && canRewind(c, connection)
    c.pointee.upstreamRequests &+= 1
    if !c.pointee.isConnected { connection.deadlines.connect = now.later(by: cluster.connectTimeout.nanoseconds) }
    if let idle = connection.retry?.policy.perTryIdleTimeout { connection.deadlines.attemptIdle = idle.nanoseconds }
    if framing == .none { requestEnded(c) } else { setTimer(c, connection) }
  }

  /// Gets a connection to the endpoint, or a stream of one.
  /// - Returns: false when that failed at once, and the request waits for another attempt or was answered.
  private func reach(_ c: ConnectionPointer, _ cluster: RoutedCluster, isNew: Bool) -> Bool {
    guard cluster.version.isHTTP2(client: c.pointee.isHTTP2) else { return !isNew && takeParked(c) || dial(c) }
    let error = join(c)
    if error != 0 { routedEnded(c, error: error) }
    return error == 0
  }

  /// What the datapath says about the client and an endpoint; what it said last, if that was about the same.
  private func verdict(
    _ c: ConnectionPointer, _ connection: RoutedConnection, _ endpoint: RoutedEndpoint
  ) -> BackendVerdict {
    let revision = shared.resolver.revision
    guard let work = routing, let judge = shared.judge else { return .unknown }
    let addresses = judge.addressRevision
    if let judged = connection.judged, let addresses, judged.addresses == addresses,
      c.pointee.serverAddress == endpoint.address, c.pointee.policy.revision == revision
    {
      connection.parties = judged.parties
      return .allowed(c.pointee.policy)
    }
    let found = work.verdicts.verdict(
      client: c.pointee.clientAddress, server: endpoint.address, revision: revision, addresses: addresses, by: judge)
    connection.parties = found?.1
    if let (verdict, parties) = found, case .allowed = verdict {
      connection.judged = RoutedConnection.Judged(parties: parties, addresses: addresses)
    } else {
      connection.judged = nil
    }
    return found?.0 ?? .unknown
  }

  /// The last octet of the request has been read: the route's time begins, and that of the attempt.
  func requestEnded(_ c: ConnectionPointer) {
    guard let connection = routed(c), connection.server != nil, c.pointee.response != .complete else { return }
    connection.deadlines.request = 0
    if connection.listener?.observer != nil { connection.notes.requestEnd = Clock.monotonic() }
    if connection.deadlines.route == 0, connection.timeout > 0 {
      connection.deadlines.route = now.later(by: connection.timeout)
    }
    if c.pointee.response == .head, let limit = connection.retry?.policy.perTryTimeout, limit > .zero {
      connection.deadlines.attempt = now.later(by: limit.nanoseconds)
    }
    setTimer(c, connection)
  }

  private func refuse(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    refuse(c)
    connection.notes.cause = .policyDenied
    connection.notes.ownBody = Self.deniedBody.utf8CodeUnitCount
    leaveUnsent(c, connection)
  }

  /// The proxy has answered, and the endpoint gets nothing of the request.
  func leaveUnsent(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    c.pointee.isHolding = false
    connection.leave(failed: false)
    connection.withdraw()
    connection.deadlines = RoutedDeadlines(idle: connection.deadlines.idle)
    setTimer(c, connection)
  }

  /// Another backend may judge otherwise.
  private func forgetJudgement(_ c: ConnectionPointer) {
    c.pointee.judgedBy = 0
    c.pointee.rule = 0
    c.pointee.isAudited = false
    c.pointee.isEgress = false
    c.pointee.mismatches = 0
  }

  /// Keeps the connection in hand if it leads to `server` and was opened under the same policy; else leaves it to others.
  private func turn(_ c: ConnectionPointer, to server: SocketAddress, _ policy: ConnectionPolicy, isNew: Bool) {
    if c.pointee.upstream.fd >= 0 {
      var known = c.pointee.policy
      known.revision = policy.revision
      let isSame = !isNew && c.pointee.serverAddress == server && known == policy
      if !isSame || c.pointee.upstream.isHangingUp || c.pointee.upstream.hasEnded, !parkIdle(c) { closeUpstream(c) }
    }
    c.pointee.serverAddress = server
    c.pointee.policy = policy
    c.pointee.isResolved = true
  }
}
