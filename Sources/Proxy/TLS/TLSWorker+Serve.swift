import CLinux
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension TLSWorker {
  func serve(_ stream: TLSStream, _ side: Side) {
    switch stream.phase {
    case .hello: readHello(stream)
    case .connecting: if side == .server { connected(stream) }
    case .relay: relay(stream)
    case .refused: discard(stream)
    }
  }

  private func readHello(_ stream: TLSStream) {
    let count = Socket.receive(stream.clientFD, scratch, TLSRelay.scratchSize)
    if count == -Int(EAGAIN) || count == -Int(EINTR) { return }
    guard count > 0 else {
      // A probe that only connects has asked for nothing.
      if count == 0 && !stream.reader.hasBegun { return end(stream, resets: false) }
      return refuse(stream, .malformed)
    }
    let octets = UnsafeBufferPointer(start: scratch, count: count)
    stream.toServer.hold(octets)
    switch stream.reader.consume(octets) {
    case .incomplete: break
    case .fault(let fault): refuse(stream, fault)
    case .hello(let name):
      stream.name = name
      judge(stream)
    }
  }

  private func judge(_ stream: TLSStream) {
    let judgement = decide(stream, resolve(stream))
    if judgement.isDenied { return refuse(stream, nil) }
    proxy.counters.allowed.add()
    record(stream, isDenied: false)
    let fd = proxy.dialer.dial(client: stream.client, server: stream.server)
    stream.activeAt = now
    guard fd >= 0 else { return failed(stream) }
    Socket.setNoDelay(fd)
    stream.serverFD = fd
    stream.phase = .connecting
    watch(stream, .client, 0)
    watch(stream, .server, UInt32(CLINUX_EPOLL_OUT))
  }

  private func resolve(_ stream: TLSStream) -> ConnectionPolicy {
    proxy.resolver.resolve(client: stream.client, server: stream.server, transport: .tcp) ?? .denied
  }

  /// What the rules in force say.
  private func decide(_ stream: TLSStream, _ policy: ConnectionPolicy) -> NameJudgement {
    refreshRules()
    stream.policy = policy
    stream.rulesVersion = tableVersion
    let judgement = NameJudgement(stream.name, by: policy) { table.tls($0) }
    stream.judgement = judgement
    return judgement
  }

  /// A connection that policy forbids now does not go on. The datapath judges it again by its next packet: until then
  /// its rule set is one of the past, which may be gone.
  func judgeAgain(_ stream: TLSStream) {
    let policy = resolve(stream)
    guard policy == .denied || policy.revision == proxy.resolver.revision else { return }
    let judgement = decide(stream, policy)
    guard judgement.isDenied else { return }
    proxy.counters.denied.add()
    record(stream, isDenied: true)
    end(stream, resets: true)
  }

  /// Says no: with an alert to who speaks TLS, and without to who does not.
  func refuse(_ stream: TLSStream, _ fault: TLSFault?) {
    if fault == nil { proxy.counters.denied.add() } else { proxy.counters.malformed.add() }
    if stream.policy == .denied { stream.policy = resolve(stream) }
    record(stream, isDenied: true)
    guard fault != .notTLS else { return end(stream, resets: true) }
    // RFC 8446, 6.2: access_denied tells that this is policy's doing, which no server would say of a name.
    let alert: [UInt8] = [TLSRecord.alert, 3, 3, 0, 2, 2, fault == nil ? 49 : 50]
    alert.withUnsafeBufferPointer { bytes in
      if let start = bytes.baseAddress { _ = Socket.send(stream.clientFD, start, bytes.count) }
    }
    // Closing with octets unread would reset the connection, and the reset may overtake the alert.
    _ = Socket.endWriting(stream.clientFD)
    stream.phase = .refused
    stream.activeAt = now
    watch(stream, .client, UInt32(CLINUX_EPOLL_IN))
  }

  private func discard(_ stream: TLSStream) {
    let count = Socket.receive(stream.clientFD, scratch, TLSRelay.scratchSize)
    if count > 0 || count == -Int(EAGAIN) || count == -Int(EINTR) { return }
    end(stream, resets: false)
  }

  private func connected(_ stream: TLSStream) {
    guard Socket.pendingError(stream.serverFD) == 0 else { return failed(stream) }
    stream.phase = .relay
    relay(stream)
  }

  /// The client sees what it would have seen without a proxy: a connection that is not to be had.
  func failed(_ stream: TLSStream) {
    proxy.counters.upstreamFailures.add()
    end(stream, resets: true)
  }

  private func relay(_ stream: TLSStream) {
    stream.activeAt = now
    let toServer = stream.toServer.pump(from: stream.clientFD, to: stream.serverFD, scratch: scratch)
    let toClient = stream.toClient.pump(from: stream.serverFD, to: stream.clientFD, scratch: scratch)
    if toServer == .broken || toClient == .broken { return end(stream, resets: true) }
    if toServer == .ended && toClient == .ended { return end(stream, resets: false) }
    watch(
      stream, .client,
      UInt32((toServer == .waitsForSource ? CLINUX_EPOLL_IN : 0) | (toClient == .waitsForSink ? CLINUX_EPOLL_OUT : 0)))
    watch(
      stream, .server,
      UInt32((toClient == .waitsForSource ? CLINUX_EPOLL_IN : 0) | (toServer == .waitsForSink ? CLINUX_EPOLL_OUT : 0)))
  }

  private func record(_ stream: TLSStream, isDenied: Bool) {
    guard log.isEnabled else { return }
    let set = stream.judgement?.set ?? stream.policy.proxyRules
    log.append(
      TLSAccessRecord(
        time: Clock.realtime(), client: stream.client, server: stream.server,
        sourceIdentity: stream.policy.sourceIdentity, destinationIdentity: stream.policy.destinationIdentity,
        proxyRules: set, service: stream.policy.service, rule: isDenied ? 0 : stream.judgement?.rule ?? 0,
        isDenied: isDenied,
        isAudited: !isDenied && stream.judgement?.isAudited ?? false, isEgress: table.isEgress(set),
        name: stream.name ?? ""
      ).encoded, now: now)
  }
}
