import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The way of one request: connect, send, read the answer, be free again.
extension LoadWorker {
  /// Nanoseconds that a connection rests after an error.
  private static let rest: UInt64 = 10_000_000

  /// Starts a request whose latency counts from `time`.
  func begin(_ index: Int, _ time: UInt64) {
    underWay += 1
    connections[index].began = time
    connections[index].deadline = monotonicNow() + options.timeout
    connections[index].sent = 0
    connections[index].echoed = 0
    connections[index].reader.reset()
    if connections[index].descriptor < 0 {
      open(index)
    } else {
      connections[index].state = .waiting
      send(index)
    }
  }

  func open(_ index: Int) {
    let descriptor = options.target.connect(datagrams: options.traffic.isDatagrams)
    guard descriptor >= 0 else { return fail(index, "connect: \(name(-descriptor))") }
    connections[index].descriptor = descriptor
    connections[index].state = .connecting
    if connections[index].deadline == 0 { connections[index].deadline = monotonicNow() + options.timeout }
    var event = epoll_event()
    event.events =
      UInt32(CLINUX_EPOLL_IN | CLINUX_EPOLL_OUT | CLINUX_EPOLL_RDHUP) | CLINUX_EPOLL_EDGE
    event.data.u64 = UInt64(index) | UInt64(UInt32(descriptor)) << 32
    guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
      return fail(index, "epoll_ctl: \(name(errno))")
    }
  }

  func handle(_ index: Int, _ events: UInt32) {
    if case .connecting = connections[index].state {
      guard connected(index) else { return }
    }
    switch connections[index].state {
    case .waiting:
      if connections[index].sent < request.count { send(index) }
      if case .waiting = connections[index].state { receive(index) }
    case .draining, .idle:
      let ended = events & ~UInt32(CLINUX_EPOLL_OUT | CLINUX_EPOLL_IN) != 0
      guard ended else { return }
      let wasDraining = if case .draining = connections[index].state { true } else { false }
      shut(index)
      // An idle connection stays in the queue of the free ones and is opened again by its next request.
      if wasDraining { release(index) }
    default: break
    }
  }

  /// Gives a connection to the next request.
  func release(_ index: Int) {
    connections[index].state = connections[index].descriptor < 0 ? .closed : .idle
    connections[index].began = 0
    connections[index].deadline = 0
    free.append(index)
  }

  /// Counts a failure and lets the connection rest.
  func fail(_ index: Int, _ reason: String) {
    if connections[index].began > 0 {
      underWay -= 1
      if isMeasured(connections[index].began) { result.failures[reason, default: 0] += 1 }
    }
    shut(index)
    connections[index].began = 0
    connections[index].state = .resting
    connections[index].deadline = monotonicNow() + LoadWorker.rest
  }

  func shut(_ index: Int) {
    guard connections[index].descriptor >= 0 else { return }
    close(connections[index].descriptor)
    connections[index].descriptor = -1
    connections[index].state = .closed
  }

  private func connected(_ index: Int) -> Bool {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(connections[index].descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
    guard code == 0 else {
      fail(index, "connect: \(name(code))")
      return false
    }
    if measureFrom > 0, isMeasured(monotonicNow()) { result.opened += 1 }
    guard connections[index].began > 0 else {
      release(index)
      return false
    }
    connections[index].state = .waiting
    if case .connect = options.traffic {
      finish(index, peerClosed: false)
      return false
    }
    return true
  }

  private func send(_ index: Int) {
    let descriptor = connections[index].descriptor
    if options.traffic.isDatagrams, connections[index].sent == 0 {
      connections[index].query &+= 1
      request[0] = UInt8(connections[index].query >> 8)
      request[1] = UInt8(connections[index].query & 0xFF)
    }
    while connections[index].sent < request.count {
      let count = request.withUnsafeBytes { bytes in
        Glibc.send(
          descriptor, bytes.baseAddress.map { $0 + connections[index].sent },
          request.count - connections[index].sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EAGAIN { return }
        if errno == EINTR { continue }
        return fail(index, "send: \(name(errno))")
      }
      connections[index].sent += count
    }
  }

  private func receive(_ index: Int) {
    while true {
      let count = recv(connections[index].descriptor, scratch.baseAddress, scratch.count, 0)
      if count < 0 {
        if errno == EAGAIN { return }
        if errno == EINTR { continue }
        return fail(index, "receive: \(name(errno))")
      }
      switch count == 0 ? atEnd(index) : read(index, UnsafeRawBufferPointer(rebasing: scratch[..<count])) {
      case .complete: return finish(index, peerClosed: count == 0)
      case .malformed(let reason): return fail(index, reason)
      case .more: if count < scratch.count, !options.traffic.isDatagrams { return }
      }
    }
  }

  private func read(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> ResponseReader.Outcome {
    switch options.traffic {
    case .http: return connections[index].reader.read(bytes)
    case .echo(let wanted):
      connections[index].echoed += bytes.count
      if connections[index].echoed > wanted { return .malformed("more bytes came back than were sent") }
      return connections[index].echoed == wanted ? .complete : .more
    case .connect: return .malformed("bytes where none were asked for")
    case .dns:
      // Another number is that of a query which was given up.
      guard let code = DNSQuestion.code(of: bytes, to: connections[index].query) else { return .more }
      connections[index].code = code
      return .complete
    }
  }

  private func atEnd(_ index: Int) -> ResponseReader.Outcome {
    switch options.traffic {
    case .http: connections[index].reader.readEnd()
    case .echo: .malformed("closed before all bytes came back")
    case .connect: .malformed("closed by the server")
    case .dns: .malformed("an empty datagram")
    }
  }

  private func finish(_ index: Int, peerClosed: Bool) {
    let now = monotonicNow()
    let began = connections[index].began
    underWay -= 1
    // At a rate the requests of the measured time count; without one the answers within it.
    if options.rate == nil ? now >= measureFrom && now < measureUntil : isMeasured(began) {
      result.latencies.record(now - min(began, now))
      result.statuses[status(index), default: 0] += 1
    }
    connections[index].began = 0
    guard case .http = options.traffic else {
      if options.newConnections { reset(index) }
      return release(index)
    }
    let serverCloses = !connections[index].reader.keepsConnection
    guard serverCloses || options.newConnections else { return release(index) }
    guard serverCloses, !peerClosed, !hasEnded(index) else {
      shut(index)
      return release(index)
    }
    connections[index].state = .draining
    connections[index].deadline = now + 1_000_000_000
  }

  private func status(_ index: Int) -> Int {
    switch options.traffic {
    case .http: connections[index].reader.status
    case .echo, .connect: 200
    case .dns: connections[index].code
    }
  }

  /// Such a server does not know when it is to close: a reset leaves no port in TIME_WAIT on either side.
  private func reset(_ index: Int) {
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      connections[index].descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    shut(index)
  }

  /// Whether the peer's FIN has come; edge-triggered epoll does not tell again.
  private func hasEnded(_ index: Int) -> Bool {
    var byte: UInt8 = 0
    let count = recv(connections[index].descriptor, &byte, 1, Int32(MSG_DONTWAIT))
    return count == 0 || count < 0 && errno != EAGAIN
  }

  private func name(_ code: Int32) -> String { String(cString: clinux_errno_name(code)) }
}
