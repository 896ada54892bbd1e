#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One thread's part of a PairRun.
struct PairWorker {
  private let options: PairRun
  private let listener: Int32
  private let addresses: [(sockaddr_storage, socklen_t)]

  init(_ options: PairRun, listener: Int32) {
    self.options = options
    self.listener = listener
    addresses = options.targets.map(\.socketAddress)
  }

  func run() throws(LoadError) -> PairRun.Outcome {
    var outcome = PairRun.Outcome(latencies: options.targets.map { _ in LatencyHistogram() })
    let start = monotonicNow()
    let measureFrom = start + options.warmUp
    let measureUntil = measureFrom + options.duration
    var before: ResourceUse?
    var turn = 0
    var began = start
    while began < measureUntil {
      try connect(turn)
      let now = monotonicNow()
      if began >= measureFrom {
        if before == nil { before = ResourceUse() }
        if now < measureUntil { outcome.latencies[turn].record(now - began) }
      }
      turn = turn + 1 == addresses.count ? 0 : turn + 1
      began = monotonicNow()
    }
    if let before { outcome.use = ResourceUse().difference(from: before) }
    return outcome
  }

  /// A whole connection.
  private func connect(_ turn: Int) throws(LoadError) {
    let client = socket(Int32(addresses[turn].0.ss_family), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard client >= 0 else { throw failure("socket") }
    let connected = withUnsafeBytes(of: addresses[turn].0) { bytes in
      bytes.baseAddress.map {
        Glibc.connect(client, $0.assumingMemoryBound(to: sockaddr.self), addresses[turn].1) == 0
      } ?? false
    }
    let server = connected ? accept(listener, nil, nil) : -1
    guard server >= 0 else {
      defer { close(client) }
      throw failure(connected ? "accept" : "connect to \(options.targets[turn].authority)")
    }
    if options.resets {
      var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
      setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
      close(client)
      close(server)
    } else {
      // With several threads the two may be ends of two connections; somebody sends what each waits for all the same.
      let isAnswered = pass(from: client, to: server) && pass(from: server, to: client)
      defer { close(client) }
      defer { close(server) }
      if !isAnswered { throw failure("an octet there and back") }
    }
  }

  private func pass(from sender: Int32, to receiver: Int32) -> Bool {
    var octet: UInt8 = 0x78
    return send(sender, &octet, 1, Int32(MSG_NOSIGNAL)) == 1 && recv(receiver, &octet, 1, 0) == 1
  }

  private func failure(_ what: String) -> LoadError { LoadError("\(what): \(String(cString: strerror(errno)))") }
}
