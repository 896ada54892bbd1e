import ProxyRules
import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// Octets of a refused request's body that are read to keep its connection.
  static let discardLimit: UInt64 = 262_144

  func readRequestHead(_ c: ConnectionPointer) -> Step {
    guard let base = c.pointee.client.base else { return .needsMore }
    let bytes = base + c.pointee.client.validated
    let count = c.pointee.client.unexamined
    let outcome = c.pointee.requestReader.readHead(bytes, count: count, limits: limits, fields: &fields, head: &head)
    switch outcome {
    case .incomplete:
      if c.pointee.headStartedAt == 0 { c.pointee.headStartedAt = now }
      return .needsMore
    case .skip(let octets):
      c.pointee.client.start &+= octets
      c.pointee.client.validated &+= octets
      return .moved
    case .fault(let fault):
      counters.malformed.add()
      refreshPolicy(c)
      begin(c)
      respond(c, status: fault.requestStatus, reason: fault.reason, closes: true)
      c.pointee.request = .complete
      return .moved
    case .head:
      c.pointee.headStartedAt = 0
      accept(c, bytes)
      // As of a response: one write for what came at once.
      return c.pointee.request == .body && c.pointee.client.unexamined > 0 ? readRequestBody(c, forwards: true) : .moved
    }
  }

  /// Starts an exchange.
  private func begin(_ c: ConnectionPointer) {
    // Those of HTTP/2 are counted when they come.
    if c.pointee.client.stream == nil { counters.requests.add() }
    c.pointee.hasExchange = true
    c.pointee.startedAt = now
    c.pointee.closesAfter = isDraining
    c.pointee.requestCloses = false
    c.pointee.responseCloses = false
    c.pointee.isReplayable = false
    c.pointee.isDenied = false
    c.pointee.isAudited = false
    c.pointee.isEgress = false
    c.pointee.sawResponse = false
    c.pointee.hasForwardedResponse = false
    c.pointee.hasRemovedClose = false
    c.pointee.statusCode = 0
    c.pointee.failure = nil
    c.pointee.judgedBy = c.pointee.policy.proxyRules
    c.pointee.rule = 0
    c.pointee.mismatches = 0
    c.pointee.requestOctets = 0
    c.pointee.responseOctets = 0
    c.pointee.discarded = 0
    c.pointee.maximumBody = .max
    c.pointee.headCount = 0
    c.pointee.traceID = .none
    c.pointee.method = ByteRange()
    c.pointee.path = ByteRange()
    c.pointee.host = ByteRange()
  }

  private func accept(_ c: ConnectionPointer, _ received: UnsafeMutablePointer<UInt8>) {
    var bytes = received
    begin(c)
    note(c, bytes)
    c.pointee.requestCloses = head.wantsClose
    c.pointee.context = ResponseContext(
      isHEAD: head.isHEAD, isCONNECT: head.isCONNECT, wantsUpgrade: head.wantsUpgrade)
    let framing = head.framing
    c.pointee.requestBody = BodyReader(framing)
    refreshPolicy(c)
    if c.pointee.policy.listener != 0 { return route(c, bytes) }
    if c.pointee.policy.egressProxyRules != 0 {
      guard let passed = passEgress(c, bytes) else { return }
      bytes = passed
    }
    let decision = judge(c, bytes)
    if decision == .deny { return refuse(c) }
    if bindsConnection(bytes) { c.pointee.isPrivate = true }
    if head.offersHTTP2 { removeHTTP2Upgrade(c, bytes) }
    if case .allowWithMismatches(let rule) = decision, !rewrite(c, bytes, rule: rule, by: recent) { return }
    keepUpstreamOpen(c, bytes)
    c.pointee.client.validated &+= head.length
    c.pointee.request = framing == .none ? .complete : .body
    c.pointee.response = .head
    c.pointee.responseReader = ResponseReader()
    if c.pointee.upstream.fd < 0 && !takeParked(c) && !dial(c) { return }
    c.pointee.isReplayable = c.pointee.upstreamRequests > 0 && isRepeatable(c)
    c.pointee.upstreamRequests &+= 1
  }

  /// Judges the request in `head`, at `bytes`, by the client's own rules, and does what they want done to it.
  /// - Returns: where it stands now; nil when it was answered.
  func passEgress(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8>? {
    switch judgeEgress(c, bytes) {
    case .allow: return bytes
    case .deny:
      refuse(c)
      return nil
    case .allowWithMismatches(let rule):
      // The server's rules judge what the server would get, as if the client had a proxy of its own before.
      return rewrite(c, bytes, rule: rule, by: recentOfEgress) ? parseAgain(c) : nil
    }
  }

  /// Keeps what the access record and a second attempt need: the head leaves its buffer before the exchange ends.
  private func note(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) {
    c.pointee.traceID = fields.traceID(bytes)
    if c.pointee.block == nil { c.pointee.block = blocks.take() }
    guard let block = c.pointee.block else { return }
    if head.length <= Self.blockSize {
      memcpy(block, bytes, head.length)
      c.pointee.headCount = head.length
      c.pointee.method = head.method
      c.pointee.path = head.path
      c.pointee.host = head.host
      return
    }
    var at = 0
    func copy(_ range: ByteRange, limit: Int) -> ByteRange {
      let count = min(range.count, limit)
      memcpy(block + at, bytes + range.start, count)
      defer { at += count }
      return ByteRange(start: at, count: count)
    }
    c.pointee.method = copy(head.method, limit: AccessLog.maximumText)
    c.pointee.path = copy(head.path, limit: AccessLog.maximumPath)
    c.pointee.host = copy(head.host, limit: AccessLog.maximumText)
  }

  func refuse(_ c: ConnectionPointer) {
    counters.denied.add()
    c.pointee.isDenied = true
    if hasRoutedExchange(c) { return refuseRouted(c) }
    let closes = passOver(c)
    respondDenied(c, closes: closes)
    c.pointee.request = head.framing == .none || c.pointee.closesAfter ? .complete : .discard
  }

  /// Takes the head of a request that the proxy answers itself.
  /// - Returns: whether the connection has to end with the answer.
  func passOver(_ c: ConnectionPointer) -> Bool {
    c.pointee.client.start &+= head.length
    c.pointee.client.validated &+= head.length
    // A client that waits for 100 may or may not send its body after a 403; only closing is unambiguous.
    let keeps = !head.wantsClose && !head.expectsContinue && !head.isCONNECT && !head.wantsUpgrade
    var fits = true
    if case .length(let count) = head.framing, count > Self.discardLimit { fits = false }
    return !(keeps && fits)
  }

  func readRequestBody(_ c: ConnectionPointer, forwards: Bool) -> Step {
    guard let base = c.pointee.client.base, c.pointee.client.unexamined > 0 else { return .needsMore }
    var used = 0
    let outcome = c.pointee.requestBody.consume(
      base + c.pointee.client.validated, count: c.pointee.client.unexamined, limits: limits, used: &used)
    if forwards, c.pointee.requestBody.chunkedOctets > c.pointee.maximumBody { return bodyExceeded(c) }
    if c.pointee.isHolding { hold(c, base + c.pointee.client.validated, used) }
    c.pointee.client.validated &+= used
    if !forwards {
      c.pointee.client.start = c.pointee.client.validated
      c.pointee.discarded &+= UInt64(used)
    }
    switch outcome {
    case .incomplete:
      if !forwards && c.pointee.discarded > Self.discardLimit {
        c.pointee.closesAfter = true
        c.pointee.request = .complete
      }
      return .moved
    case .complete:
      c.pointee.request = .complete
      if c.pointee.routed != 0 && forwards { requestEnded(c) }
      return .moved
    case .fault(let fault):
      counters.malformed.add()
      // The server has an unfinished request; it must not be able to take what follows for the rest of it.
      c.pointee.client.start = c.pointee.client.validated
      if c.pointee.hasForwardedResponse || c.pointee.isDenied {
        if c.pointee.isDenied && c.pointee.upstream.pending > 0 {
          c.pointee.closesAfter = true
          c.pointee.request = .complete
          return .moved
        }
        abort(c, resets: false)
        return .blocked
      }
      closeUpstream(c)
      respond(c, status: fault.requestStatus, reason: fault.reason, closes: true)
      c.pointee.request = .complete
      return .moved
    }
  }
}
