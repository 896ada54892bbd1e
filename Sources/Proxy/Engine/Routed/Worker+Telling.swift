import ProxyRules
import Routing

// What access logs and spans tell of routed requests. A listener that has neither costs its requests one branch.
extension Worker {
  /// Looks at the request in `head` as it came.
  func observe(_ request: RequestView, _ connection: RoutedConnection) {
    guard let observer = connection.listener?.observer else { return }
    connection.notes.heads.take(request, observer.plan)
    guard let tracer = observer.tracer, let work = routing else { return }
    connection.notes.trace = tracer.begin(TraceContext(request.http.headers), request.http.headers) { work.random() }
  }

  /// Looks at the request in `head`, at `bytes`, as it is sent on.
  func observeSent(_ bytes: UnsafeMutablePointer<UInt8>, _ connection: RoutedConnection) {
    guard let observer = connection.listener?.observer else { return }
    connection.notes.requestHead = head.length
    connection.notes.heads.take(RequestView(requestFacts(bytes), connection: connection.facts), observer.plan)
  }

  /// Looks at the head of a response at `bytes` as the client gets it.
  func observeResponse(_ bytes: UnsafePointer<UInt8>, _ length: Int, _ connection: RoutedConnection) {
    guard let observer = connection.listener?.observer, let work = routing else { return }
    connection.notes.responseHead = length
    // Of a request that might have been sent once more, but for its number of attempts.
    let mayBeRefused = connection.notes.cause == .upstream && connection.retries > 0 && !connection.hasRetries
    guard observer.plan.needsResponse || mayBeRefused else { return }
    var start = 0
    while start < length, bytes[start] != Octet.lineFeed { start &+= 1 }
    guard work.fields.parse(bytes, from: start &+ 1, length: length) == nil else { return }
    let headers = work.fields.facts(bytes, work.facts)
    connection.notes.heads.take(response: headers, observer.plan)
    let status = UInt16(truncatingIfNeeded: responseHead.status)
    if mayBeRefused, connection.retry?.retries(status: status, headers: headers) == true {
      connection.notes.flags.insert(ResponseFlags(.upstreamRetryLimitExceeded))
    }
  }

  /// The response of the server is there, and is the one that the client gets.
  func noteResponse(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    connection.notes.cause = .upstream
    guard connection.listener?.observer != nil else { return }
    connection.notes.responseStart = Clock.monotonic()
    guard let base = c.pointee.upstream.base else { return }
    observeResponse(base + c.pointee.upstream.validated, responseHead.length, connection)
  }

  /// Tells of an exchange that is over.
  func tell(_ c: ConnectionPointer, _ connection: RoutedConnection, isAborted: Bool) {
    guard let listener = connection.listener, let observer = listener.observer, let work = routing else { return }
    let ended = Clock.monotonic()
    let exchange = summary(c, connection, isAborted: isAborted, ended: ended)
    let heads = connection.notes.heads
    let facts = exchange.facts
    for log in observer.logs where log.log.tells(of: facts, heads, { work.random() }) {
      let line = LogLine(exchange: exchange, heads: heads)
      work.lines.append(to: log.file, now: ended) { line.write(log.log, to: &$0) }
    }
    guard let tracer = observer.tracer, let trace = exchange.trace else { return }
    let span = SpanLine(exchange: exchange, heads: heads, tracer: tracer, listener: listener)
    work.lines.append(to: tracer.exporter, now: ended) { span.writeServer(trace, to: &$0) }
    guard tracer.spawnsUpstreamSpan, let server = exchange.server else { return }
    work.lines.append(to: tracer.exporter, now: ended) { span.writeClient(trace, server, to: &$0) }
  }

  private func summary(
    _ c: ConnectionPointer, _ connection: RoutedConnection, isAborted: Bool, ended: UInt64
  ) -> ExchangeSummary {
    let notes = connection.notes
    let duration = ended &- c.pointee.startedAt
    let isTunnel = c.pointee.response == .tunnel
    let isUpstream = notes.cause == .upstream
    var flags = notes.flags.union(notes.cause.flags)
    if isAborted { flags.insert(ResponseFlags(.downstreamConnectionTermination)) }
    var sent = isUpstream ? c.pointee.responseBody.octets : UInt64(notes.ownBody)
    // What nobody asked for does not count.
    var received = connection.server == nil ? 0 : c.pointee.requestBody.octets
    if isTunnel {
      sent = c.pointee.responseOctets &- min(c.pointee.responseOctets, UInt64(notes.responseHead))
      received = c.pointee.requestOctets &- min(c.pointee.requestOctets, UInt64(notes.requestHead))
    }
    func part(_ range: ByteRange) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: c.pointee.block.map { $0 + range.start }, count: range.count)
    }
    return ExchangeSummary(
      start: Clock.realtime() &- duration, duration: duration,
      requestDuration: notes.requestEnd == 0 ? nil : notes.requestEnd &- c.pointee.startedAt,
      responseDuration: notes.responseStart == 0 ? nil : notes.responseStart &- c.pointee.startedAt,
      status: c.pointee.statusCode, flags: flags, cause: notes.cause, received: received, sent: sent,
      connection: connection.facts, server: connection.server, cluster: connection.forwarding?.cluster ?? "",
      choice: connection.choice,
      attempts: connection.server == nil && !notes.cause.isAttempt ? 0 : connection.retries + 1,
      traceID: notes.trace?.traceID ?? c.pointee.traceID, trace: notes.trace,
      method: part(c.pointee.method), path: part(c.pointee.path), host: part(c.pointee.host))
  }
}
