import ProxyRules
import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// Requests of a connection whose policy names a listener: each gets a route, and by it an answer of the proxy's or a backend.
//
// What is allocated for a request: the name of its cluster and the edits of its head (`Forwarding`, `HeaderEdits`), and those
// of its response where a level of the configuration has any. All else is recycled.
extension Worker {
  /// The routed side of a connection; nil for one whose requests are not routed.
  @inline(__always)
  func routed(_ c: ConnectionPointer) -> RoutedConnection? {
    c.pointee.routed == 0 ? nil : routing?[c.pointee.routed]
  }

  private func routedSide(_ c: ConnectionPointer) -> RoutedConnection {
    if let known = routed(c) { return known }
    let connection = routingWork().add(c)
    c.pointee.routed = connection.number
    return connection
  }

  private func routingWork() -> RoutingWork {
    if let routing { return routing }
    let work = RoutingWork()
    routing = work
    return work
  }

  func listener(_ number: UInt32) -> RoutedListener? {
    routingWork().listener(number, in: shared.routes)
  }

  /// As `refreshPolicy`, of a connection that is routed so far. Whether a backend may be asked is judged with each request;
  /// only who asks, and by which listener, is found here.
  func refreshRouted(_ c: ConnectionPointer) {
    let connection = routedSide(c)
    let revision = shared.resolver.revision
    guard connection.revision != revision else { return }
    connection.revision = revision
    let found = shared.resolver.resolve(
      client: c.pointee.clientAddress, server: connection.frontend, transport: .tcp)
    if let found, found.listener != 0 {
      connection.policy = found
      c.pointee.policy.listener = found.listener
      c.pointee.policy.service = found.service
      return
    }
    // It goes where its client meant it to go from now on, if anywhere.
    if !parkIdle(c) { closeUpstream(c) }
    c.pointee.serverAddress = connection.frontend
    forgetRouted(c)
    adopt(found, c)
  }

  /// Gives the request in `head` a route.
  func route(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) {
    let connection = routedSide(c)
    c.pointee.judgedBy = 0
    connection.held.headLength = head.length
    connection.held.isInBlock = c.pointee.headCount == head.length
    guard let work = routing, let listener = self.listener(connection.policy.listener) else {
      // The connection would be led here for ever, wherever its service leads by now.
      c.pointee.closesAfter = true
      return answer(c, status: 503, failure: "the proxy does not have the listener of this service")
    }
    connection.listener = listener
    connection.deadlines.idle = listener.manager.streamIdleTimeout.nanoseconds
    connection.facts.protocol = c.pointee.isHTTP2 ? "HTTP/2" : head.isHTTP11 ? "HTTP/1.1" : "HTTP/1.0"
    let request = RequestView(requestFacts(bytes), connection: connection.facts)
    observe(request, connection)
    guard !(head.isCONNECT || head.wantsUpgrade) || allowsUpgrade(listener.manager, bytes) else {
      connection.notes.cause = .upgradeRefused
      return answer(c, status: 403, failure: "the listener does not allow this upgrade")
    }
    let result = listener.table.choose(request, random: work.random())
    if case .route(let choice) = result { connection.choice = choice }
    if let chain = listener.filters {
      connection.filters = chain.pass(result)
      guard passFilters(c, request, connection) else { return }
    }
    follow(c, bytes, request, result, connection)
  }

  /// Does with the request in `head` what its route says.
  func follow(
    _ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>, _ request: RequestView, _ result: RouteResult,
    _ connection: RoutedConnection
  ) {
    switch result {
    case .notFound:
      connection.notes.cause = .routeNotFound
      answer(c, .notFound, connection.edits(request, to: .notFound), failure: "no route is for the request")
    case .redirectToTLS:
      let response = LocalResponse.redirectToTLS(request)
      connection.notes.cause = .directResponse
      answer(c, response, connection.edits(request, to: response))
    case .route(let choice):
      if let response = choice.localResponse(request) {
        connection.notes.cause = .directResponse
        return answer(c, response, connection.edits(request, to: response))
      }
      forward(c, bytes, request, choice, connection)
    }
  }

  private func forward(
    _ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>, _ request: RequestView, _ choice: RouteChoice,
    _ connection: RoutedConnection
  ) {
    let edits = connection.filters?.edits ?? HeaderEdits()
    guard case .forward(let action) = choice.route.action, let listener = connection.listener,
      let forwarding = choice.forwarding(request, edits: edits, marksOriginal: listener.manager.marksOriginal)
    else { return answer(c, status: 500, failure: "the route has no action") }
    connection.forwarding = connection.notes.trace.map(forwarding.with) ?? forwarding
    guard let cluster = forwarding.cluster.flatMap(listener.cluster) else {
      connection.notes.cause = .clusterNotFound
      let response = LocalResponse.noCluster(action)
      return answer(
        c, response, connection.edits(request, to: response), failure: "the route's cluster is not there")
    }
    connection.cluster = cluster
    request.with(edits) { request in
      if !action.hashPolicies.isEmpty {
        let hash = action.hash(request)
        connection.hash = hash.value
        connection.cookies = hash.cookies
      }
      if let retry = choice.retry {
        connection.retry = retry
        connection.mayRetry = retry.allows(request)
      }
    }
    connection.timeout = action.timeout.nanoseconds
    connection.isHighPriority = action.isHighPriority
    if let idle = action.idleTimeout { connection.deadlines.idle = idle.nanoseconds }
    if head.framing != .none, listener.manager.requestTimeout > .zero {
      connection.deadlines.request = now.later(by: listener.manager.requestTimeout.nanoseconds)
    }
    if let pass = connection.filters, !limitBody(c, pass) { return }
    holdHead(c, bytes, connection)
    attempt(c, bytes, connection)
  }

  /// Whether the listener lets connections change to each of the protocols that the request in `head` asks for.
  private func allowsUpgrade(_ manager: HTTPConnectionManager, _ bytes: UnsafePointer<UInt8>) -> Bool {
    if head.isCONNECT { return false }
    var asked = 0
    var allowed = 0
    for line in fields.lines where line.name.equalsIgnoringCase("upgrade", in: bytes) {
      CommaSeparated.forEach(bytes, line.value) { option in
        asked += 1
        if manager.upgrades.contains(where: { option.spells($0, in: bytes) }) { allowed += 1 }
      }
    }
    return asked > 0 && allowed == asked
  }

  // MARK: Ends

  /// Whether the exchange has deadlines of its own.
  func hasRoutedExchange(_ c: ConnectionPointer) -> Bool { routed(c)?.listener != nil }

  /// The exchange is over; called once for each that was begun.
  func endRouted(_ c: ConnectionPointer, isAborted: Bool) {
    guard let connection = routed(c) else { return }
    tell(c, connection, isAborted: isAborted)
    if let listener = connection.listener {
      let metrics = connection.choice.map { listener.metrics($0, cluster: connection.cluster) } ?? listener.unrouted
      metrics.ended(status: c.pointee.statusCode, nanoseconds: Clock.monotonic() &- c.pointee.startedAt)
    }
    releaseHeld(c, connection)
    let isWhole = c.pointee.response == .complete || c.pointee.response == .tunnel
    connection.endExchange(failed: !isWhole || c.pointee.statusCode >= 500)
  }

  /// The connection is routed no more.
  func forgetRouted(_ c: ConnectionPointer) {
    guard let connection = routed(c) else { return }
    releaseHeld(c, connection)
    connection.endExchange(failed: true)
    c.pointee.routed = 0
    routing?.remove(connection)
  }

  /// What the access record says of an exchange's route.
  func routingNotes(_ c: ConnectionPointer) -> RoutingNotes? {
    guard let connection = routed(c) else { return nil }
    return RoutingNotes(
      listener: connection.policy.listener, server: connection.server ?? connection.frontend,
      sourceIdentity: connection.parties?.client.identity ?? connection.policy.sourceIdentity,
      destinationIdentity: connection.parties?.server.identity ?? 0,
      choice: connection.choice, cluster: connection.forwarding?.cluster ?? "",
      dropReason: connection.dropReason, retries: UInt16(clamping: connection.retries),
      traceID: connection.notes.trace?.traceID)
  }

  /// How long a routed connection may take for a head, and wait for the next one; nanoseconds.
  func limitsBetweenRequests(_ c: ConnectionPointer, _ head: UInt64, _ idle: UInt64) -> (head: UInt64, idle: UInt64) {
    guard let manager = listener(c.pointee.policy.listener)?.manager else { return (head, idle) }
    let ownHead = manager.requestHeadersTimeout.nanoseconds
    let ownIdle = manager.idleTimeout.map { $0 == .zero ? UInt64.max : $0.nanoseconds }
    return (ownHead == 0 ? head : min(head, ownHead), ownIdle ?? idle)
  }
}

extension HTTPConnectionManager {
  /// Whether servers are told the path and the host before they were rewritten.
  var marksOriginal: Bool { !router.suppressesEnvoyHeaders }
}
