import HTTP2
import ProxyRules
import Routing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension Worker {
  /// Takes the section in `work.list` for what the client wants with a stream.
  func takeRequest(
    _ session: SessionPointer, _ work: HTTP2Work, _ number: UInt32, octets: Int, endStream: Bool
  ) {
    if let stream = session.pointee.stream(number, .client) {
      return takeTrailers(session, .client, work, stream, octets: octets, endStream: endStream)
    }
    let client = session.pointee.side(.client)
    guard number & 1 == 1 else { return fail(session, .client, .wrongStreamIdentifier) }
    guard number > client.pointee.lastStream else {
      guard number > session.pointee.lastServed || session.pointee.wasReset(number) else {
        return fail(session, .client, .frameOnClosedStream)
      }
      _ = spend(session, .client)
      return
    }
    client.pointee.lastStream = number
    // The client knows that it has to send it again elsewhere.
    if number > session.pointee.lastServed { return }
    guard session.pointee.count < session.pointee.streamLimit else {
      return refuse(session, number, .tooManyStreams)
    }
    client.pointee.idleFrames.earn(4)
    let stream = work.makeStream(session.pointee.connection, number, session, now: now)
    session.pointee.add(stream)
    counters.requests.add()
    stream.pointee.judgedBy = session.pointee.connection.pointee.policy.proxyRules
    stream.pointee.requestOctets = UInt64(octets)
    let leg = stream.pointee.leg(.client)
    _ = leg.pointee.state.receive(.headers, endStream: endStream)
    leg.pointee.hasEnded = endStream
    accept(session, work, stream, endStream: endStream)
  }

  private func accept(_ session: SessionPointer, _ work: HTTP2Work, _ stream: StreamPointer, endStream: Bool) {
    let leg = stream.pointee.leg(.client)
    if work.list.isTooLarge {
      counters.malformed.add()
      return answer(session, stream, status: 431, reason: HTTPFault.headTooLarge.reason)
    }
    var fields = RequestFields()
    let malformed = fields.read(work.list)
    let isCarried = session.pointee.carried != nil && malformed == nil
    if !isCarried { note(stream, work.list, fields) }
    leg.pointee.length = fields.length
    if let fault = malformed ?? (endStream ? leg.pointee.length.take(0, isLast: true) : nil) {
      counters.malformed.add()
      return fail(session, .client, stream, fault)
    }
    stream.pointee.isHEAD = fields.isHEAD
    if isCarried { return carry(session, work, stream, fields, endStream: endStream) }
    guard judge(session, work, stream, &fields) else { return }
    guard session.pointee.side(.server).pointee.endpoint.pointee.fd >= 0 || dial(session, stream) else { return }
    forward(session, work, stream, endStream: endStream)
  }

  private func forward(_ session: SessionPointer, _ work: HTTP2Work, _ stream: StreamPointer, endStream: Bool) {
    let server = session.pointee.side(.server)
    guard server.pointee.lastStream < 0x7FFF_FFFD else {
      refuse(session, stream.pointee.leg(.client).pointee.number, .tooManyStreams)
      passGoAway(session, last: server.pointee.lastStream)
      return end(session, stream, isAborted: true)
    }
    assignNumber(session, stream)
    pass(session, stream, to: .server, &work.list, endStream: endStream)
  }

  /// Gives a stream the next number at the server, to whom its head goes now.
  func assignNumber(_ session: SessionPointer, _ stream: StreamPointer) {
    let server = session.pointee.side(.server)
    let number = server.pointee.lastStream == 0 ? 1 : server.pointee.lastStream &+ 2
    server.pointee.lastStream = number
    session.pointee.setServerNumber(stream, number)
    stream.pointee.leg(.server).pointee.sendWindow = SendWindow(Int(server.pointee.settings.initialWindowSize))
  }

  /// Keeps what the access record says.
  private func note(_ stream: StreamPointer, _ list: HeaderList, _ fields: RequestFields) {
    if let parent = list.first(named: TraceContext.parentName) {
      stream.pointee.traceID = TraceContext.traceID(ofParent: parent)
    }
    guard let block = blocks.take() else { return }
    stream.pointee.block = block
    var at = 0
    func copy(_ index: Int, limit: Int) -> ByteRange {
      guard index >= 0, let bytes = list.value(index).baseAddress else { return ByteRange() }
      let count = min(list.value(index).count, limit)
      memcpy(block + at, bytes, count)
      defer { at += count }
      return ByteRange(start: at, count: count)
    }
    stream.pointee.method = copy(fields.method, limit: AccessLog.maximumText)
    stream.pointee.path = copy(fields.isCONNECT ? fields.authority : fields.path, limit: AccessLog.maximumPath)
    stream.pointee.host = copy(fields.authority, limit: AccessLog.maximumText)
  }

  // MARK: Rules

  /// Judges a request as one of HTTP/1 is judged.
  /// - Returns: false when it was answered.
  private func judge(
    _ session: SessionPointer, _ work: HTTP2Work, _ stream: StreamPointer, _ fields: inout RequestFields
  ) -> Bool {
    let c = session.pointee.connection
    refreshPolicy(c)
    guard c.pointee.policy.listener == 0 else {
      // From now on the address is a route's. A new connection will find it.
      passGoAway(session, last: session.pointee.side(.server).pointee.lastStream)
      answer(session, stream, status: 503, reason: "the connection's policy has changed")
      return false
    }
    c.pointee.judgedBy = c.pointee.policy.proxyRules
    c.pointee.isEgress = false
    c.pointee.isAudited = false
    c.pointee.rule = 0
    c.pointee.mismatches = 0
    var decision = HTTPDecision.allow(ruleID: nil)
    var fits = true
    if c.pointee.policy.egressProxyRules != 0 {
      decision = judgeEgress(c, facts: facts(work.list, fields))
      if case .allowWithMismatches(let rule) = decision {
        // The server's rules judge what the server would get.
        fits = rewrite(c, work, &fields, rule: rule, by: recentOfEgress)
      }
    }
    if decision != .deny, fits {
      decision = judge(c, facts: facts(work.list, fields))
      if case .allowWithMismatches(let rule) = decision {
        fits = rewrite(c, work, &fields, rule: rule, by: recent)
      }
    }
    stream.pointee.judgedBy = c.pointee.judgedBy
    stream.pointee.isEgress = c.pointee.isEgress
    stream.pointee.isAudited = c.pointee.isAudited
    stream.pointee.rule = c.pointee.rule
    stream.pointee.mismatches = c.pointee.mismatches
    if decision == .deny {
      counters.denied.add()
      stream.pointee.isDenied = true
      answer(session, stream, status: 403, body: Self.deniedBody, end: "")
      return false
    }
    if !fits { answer(session, stream, status: 431, reason: HTTPFault.headTooLarge.reason) }
    return fits
  }

  /// The request as rules see it: `:authority` is its Host.
  private func facts(_ list: HeaderList, _ fields: RequestFields) -> HTTPRequestFacts {
    var count = 0
    func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
      (facts + count).initialize(to: HTTPHeaderFacts(name: name, value: value))
      count &+= 1
    }
    if fields.authority < fields.firstField {
      let host: StaticString = "host"
      add(UnsafeRawBufferPointer(start: host.utf8Start, count: host.utf8CodeUnitCount), list.value(fields.authority))
    }
    for index in fields.firstField..<list.count {
      // It says the same.
      if fields.authority < fields.firstField, list.name(index).elementsEqual("host".utf8) { continue }
      add(list.name(index), list.value(index))
    }
    return HTTPRequestFacts(
      method: list.value(fields.method), path: list.value(fields.isCONNECT ? fields.authority : fields.path),
      host: list.value(fields.authority), headers: UnsafeBufferPointer(start: facts, count: count))
  }

  /// Does what a rule wants done to headers that are not as it says.
  /// - Returns: false when the section is no good one any more.
  private func rewrite(
    _ c: ConnectionPointer, _ work: HTTP2Work, _ fields: inout RequestFields, rule: UInt32, by recent: RecentMatcher
  ) -> Bool {
    guard let mismatches = recent.matcher?.mismatches(of: rule, in: facts(work.list, fields)) else { return true }
    for mismatch in mismatches where mismatch.index < 16 { c.pointee.mismatches |= 1 << mismatch.index }
    guard mismatches.contains(where: { $0.action != .log }) else { return true }
    let removed = mismatches.filter { $0.action == .delete || $0.action == .replace }.map { $0.name.lowercased() }
    work.list.removeAll { name in removed.contains { name.elementsEqual($0.utf8) } }
    for mismatch in mismatches where mismatch.action == .add || mismatch.action == .replace {
      let name = Array(mismatch.name.lowercased().utf8)
      name.withUnsafeBytes { name in
        Array(mismatch.value.utf8).withUnsafeBytes { work.list.add(name, $0, indexing: .indexed) }
      }
    }
    return !work.list.isTooLarge && fields.read(work.list) == nil
  }
}

extension HeaderList {
  /// The value of the first field of a name, in lower case.
  fileprivate func first(named name: [UInt8]) -> UnsafeRawBufferPointer? {
    (0..<count).first { self.name($0).elementsEqual(name) }.map { value($0) }
  }
}
