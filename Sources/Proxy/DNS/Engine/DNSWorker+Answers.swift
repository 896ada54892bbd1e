import ProxyRules

extension DNSWorker {
  /// One datagram of a server.
  func answer(_ upstream: DNSUpstreams.Upstream, _ bytes: UnsafeMutableRawBufferPointer) {
    guard bytes.count >= DNSHeader.size else { return proxy.counters.unexpectedAnswers.add() }
    let id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    guard let exchange = upstream.exchanges[id] else { return proxy.counters.unexpectedAnswers.add() }
    bytes[0] = UInt8(exchange.query.header.id >> 8)
    bytes[1] = UInt8(exchange.query.header.id & 0xFF)
    do throws(DNSFault) {
      let answer = try DNSAnswer(UnsafeRawBufferPointer(bytes), question: exchange.question, name: exchange.query.name)
      upstream.exchanges[id] = nil
      finished(exchange)
      release(exchange, answer, Array(bytes))
    } catch {
      // An answer to another question is somebody else's try; the server's own may still come.
      if error == .otherQuestion || error == .notAnAnswer { return proxy.counters.unexpectedAnswers.add() }
      upstream.exchanges[id] = nil
      finished(exchange)
      garbled(exchange)
    }
  }

  /// Gives an answer to the client, once the datapath knows the addresses in it.
  func release(_ exchange: DNSExchange, _ answer: DNSAnswer, _ message: [UInt8]) {
    proxy.counters.answers.add()
    if tracker?.mayPass(exchange, answer, message, now: now) ?? true {
      reply(exchange, message)
      record(exchange, code: answer.header.responseCode, answer: answer, isDenied: false)
    }
  }

  /// Gives the answers to their clients that the tracker has let go.
  func releaseHeld() {
    for held in tracker?.collect(now: now) ?? [] {
      reply(held.exchange, held.message)
      if case .stream(let number) = held.exchange.transport, let stream = streams[number] { settle(stream) }
      record(held.exchange, code: held.answer.header.responseCode, answer: held.answer, isDenied: false)
    }
  }

  /// The server's answer can not be read, so its addresses can not be known.
  func garbled(_ exchange: DNSExchange) {
    proxy.counters.malformed.add()
    reply(exchange, serverFailure(exchange))
    record(exchange, code: DNSResponseCode.serverFailure, answer: nil, isDenied: false)
  }

  func serverFailure(_ exchange: DNSExchange) -> [UInt8] {
    let octets = [UInt8](repeating: 0, count: DNSHeader.size) + exchange.question
    return octets.withUnsafeBytes { DNSReply.make(DNSResponseCode.serverFailure, to: exchange.query, $0) }
  }

  /// The server takes no datagrams: who waits is told at once.
  func failAll(_ upstream: DNSUpstreams.Upstream) {
    let exchanges = upstream.exchanges.values
    upstream.exchanges = [:]
    for exchange in exchanges {
      finished(exchange)
      proxy.counters.failures.add()
      reply(exchange, serverFailure(exchange))
      record(exchange, code: DNSResponseCode.serverFailure, answer: nil, isDenied: false)
    }
  }

  func expired(_ exchange: DNSExchange) {
    finished(exchange)
    proxy.counters.timeouts.add()
    record(exchange, code: nil, answer: nil, isDenied: false)
  }

  /// - Parameter code: what the client was told; nil when it was told nothing.
  func record(_ exchange: DNSExchange, code: UInt8?, answer: DNSAnswer?, isDenied: Bool) {
    guard log.isEnabled else { return }
    let time = Clock.monotonic()
    log.append(
      DNSRecord(
        time: Clock.realtime() &- (time &- exchange.startedAt), latency: time &- exchange.startedAt,
        client: exchange.client, server: exchange.server, isTCP: exchange.transport != .datagram,
        sourceIdentity: exchange.policy.sourceIdentity, destinationIdentity: exchange.policy.destinationIdentity,
        proxyRules: exchange.judgement.set, service: exchange.policy.service, rule: exchange.judgement.rule,
        isDenied: isDenied,
        isAudited: exchange.judgement.isAudited && !isDenied, responseCode: code, type: exchange.query.type,
        name: exchange.query.name, addresses: answer?.addresses ?? [],
        aliases: answer?.aliases ?? [], timeToLive: answer?.timeToLive ?? 0
      ).encoded, now: now)
  }
}
