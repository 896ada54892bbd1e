import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension DNSWorker {
  func listen() {
    for (index, listener) in proxy.listeners.enumerated() { watch(listener.fd, .listener, UInt64(index)) }
  }

  func openMail() { for socket in proxy.mailbox.collect() { open(socket) } }

  /// Does what the mailbox says now.
  func follow(_ new: WorkerMailbox.Mode) {
    let old = mode
    mode = new
    switch new {
    case .running: listen()
    case .paused: ignoreListeners()
    case .departing:
      if old == .running { ignoreListeners() }
      departure = proxy.mailbox.departure
      departsUntil = now.later(by: departure.limit.nanoseconds)
      openMail()
    case .stopping: break
    }
    proxy.mailbox.confirm(new)
  }

  private func ignoreListeners() {
    // Other processes may have them too, so they would stay in the set if they were only closed.
    for listener in proxy.listeners { epoll_ctl(epoll, EPOLL_CTL_DEL, listener.fd, nil) }
  }

  /// Gives away what has come to rest; whether nothing is left, or its time is over.
  func hasDeparted() -> Bool {
    // An answer that waits for the agent belongs to one of the connections.
    if tracker?.deadline == nil { for stream in Array(streams.values) where stream.isAtRest { pass(stream) } }
    return now >= departsUntil || (streams.isEmpty && queryCount == 0 && tracker?.deadline == nil)
  }

  private func pass(_ stream: DNSStream) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, stream.clientFD, nil)
    _ = departure.outbox?.pass(stream.clientFD)
    stream.close()
    streams[stream.number] = nil
  }
}

extension DNSStream {
  /// Whether nothing was asked that has no answer yet, and nothing has been read that is not a whole query.
  var isAtRest: Bool { exchanges.isEmpty && fromClient.isEmpty && toClient.isEmpty && !isHalfClosed }
}
