import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension DNSWorker {
  /// Judges one message of a client and asks its server.
  func take(
    _ bytes: UnsafeRawBufferPointer, client: SocketAddress, server: SocketAddress, transport: DNSExchange.Transport,
    listener: Int32 = -1
  ) {
    proxy.counters.queries.add()
    let query: DNSQuery
    do throws(DNSFault) {
      query = try DNSQuery(bytes)
    } catch {
      proxy.counters.malformed.add()
      let code = error == .notAQuery ? DNSResponseCode.notImplemented : DNSResponseCode.formatError
      if let reply = DNSReply.make(code, to: bytes) {
        send(reply, client: client, server: server, transport: transport, listener: listener)
      }
      return
    }
    let policy =
      proxy.resolver.resolve(
        client: client, server: server, transport: transport == .datagram ? .udp : .tcp) ?? .denied
    let table = rules()
    let judgement = NameJudgement(query.name, by: policy) { table.dns($0) }
    let exchange = DNSExchange(
      client: client, server: server, transport: transport, listener: listener, query: query,
      question: Array(bytes[DNSHeader.size..<query.questionEnd]), policy: policy, judgement: judgement, startedAt: now)
    guard !judgement.isDenied else {
      proxy.counters.denied.add()
      return refuse(exchange, DNSResponseCode.refused, bytes, isDenied: true)
    }
    guard queryCount < proxy.options.maximumQueries, loadOf(client) < proxy.options.maximumQueriesOfClient else {
      return fail(exchange, bytes)
    }
    switch transport {
    case .datagram: ask(exchange, bytes)
    case .stream(let number): ask(exchange, bytes, stream: number)
    }
  }

  private func ask(_ exchange: DNSExchange, _ bytes: UnsafeRawBufferPointer) {
    let upstream = upstreams.socket(client: exchange.client, server: exchange.server, now: now) { slot in
      let fd = proxy.dialer.dial(client: exchange.client, server: exchange.server, transport: .udp)
      if fd >= 0 { watch(fd, .upstream, UInt64(slot)) }
      return fd
    }
    guard let upstream, let id = upstreams.id(on: upstream) else { return fail(exchange, bytes) }
    var copy = Array(bytes)
    copy[0] = UInt8(id >> 8)
    copy[1] = UInt8(id & 0xFF)
    // An earlier datagram's ICMP error is told by the next call, which has not sent anything then.
    guard send(copy, upstream) || (errno == ECONNREFUSED && send(copy, upstream)) else { return fail(exchange, bytes) }
    upstream.exchanges[id] = exchange
    began(exchange)
  }

  private func send(_ message: [UInt8], _ upstream: DNSUpstreams.Upstream) -> Bool {
    Glibc.send(upstream.fd, message, message.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) >= 0
  }

  // MARK: What is on its way

  private func loadOf(_ client: SocketAddress) -> Int { load[SocketAddress(client.address, port: 0)] ?? 0 }

  func began(_ exchange: DNSExchange) {
    queryCount += 1
    load[SocketAddress(exchange.client.address, port: 0), default: 0] += 1
  }

  func finished(_ exchange: DNSExchange) {
    let key = SocketAddress(exchange.client.address, port: 0)
    queryCount -= 1
    guard let count = load[key] else { return }
    load[key] = count > 1 ? count - 1 : nil
  }

  // MARK: Answers of the proxy itself

  /// Answers SERVFAIL to what can not be asked now.
  func fail(_ exchange: DNSExchange, _ bytes: UnsafeRawBufferPointer) {
    proxy.counters.failures.add()
    refuse(exchange, DNSResponseCode.serverFailure, bytes, isDenied: false)
  }

  private func refuse(_ exchange: DNSExchange, _ code: UInt8, _ bytes: UnsafeRawBufferPointer, isDenied: Bool) {
    reply(exchange, DNSReply.make(code, to: exchange.query, bytes))
    record(exchange, code: code, answer: nil, isDenied: isDenied)
  }

  func reply(_ exchange: DNSExchange, _ message: [UInt8]) {
    send(
      message, client: exchange.client, server: exchange.server, transport: exchange.transport,
      listener: exchange.listener)
  }

  private func send(
    _ message: [UInt8], client: SocketAddress, server: SocketAddress, transport: DNSExchange.Transport, listener: Int32
  ) {
    switch transport {
    case .datagram:
      // What the client does not get it asks for again.
      message.withUnsafeBytes { bytes in
        if proxy.listeners.contains(where: { $0.fd == listener && $0.address == server }) {
          _ = Socket.send(listener, bytes, from: server, to: client)
        } else {
          _ = replies.send(bytes, from: server, to: client)
        }
      }
    case .stream(let number): if let stream = streams[number] { push(message, to: stream) }
    }
  }
}
