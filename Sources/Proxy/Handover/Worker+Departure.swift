import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension WorkerMailbox.Mode: Comparable {
  static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension Worker {
  /// Does what the mailbox says now.
  func follow(_ new: WorkerMailbox.Mode) {
    mode = new
    switch new {
    case .running: startAccepting()
    case .paused: stopAccepting()
    case .departing, .stopping: depart(mailbox.departure)
    }
    mailbox.confirm(new)
  }

  /// Takes no more connections. Those at rest go at once, the others after their exchange: to the successor, if there is one.
  private func depart(_ departure: Departure) {
    outbox = departure.outbox
    // Another proxy has listeners of its own: who waits at these was not meant for it.
    if outbox == nil, mode == .departing { for listener in shared.listeners { while accept(from: listener) {} } }
    stopAccepting()
    parked.endAll()
    isDraining = outbox == nil
    drainEnd = min(drainEnd, now.later(by: departure.limit.nanoseconds))
    openMail()
    forEachConnection { c in
      if c.pointee.request == .http2 { return self.drainHTTP2(c) }
      if self.outbox != nil { return self.passIfAtRest(c) }
      if !c.pointee.hasExchange && c.pointee.request == .head && c.pointee.client.fd >= 0 { self.closeConnection(c) }
    }
  }

  /// Gives the successor a connection between two requests. What the client has sent of the next one must not have been
  /// read, and the server's connection, which ends here, must be nothing that the client relies on.
  func passIfAtRest(_ c: ConnectionPointer) {
    guard c.pointee.request == .head, c.pointee.response == .idle, !c.pointee.hasExchange, !c.pointee.isPrivate,
      c.pointee.headStartedAt == 0, c.pointee.client.unexamined == 0, c.pointee.client.pending == 0,
      !c.pointee.client.hasEnded, c.pointee.client.fd >= 0, let outbox
    else { return }
    // The socket lives on elsewhere, so closing it here would not take it out of the set.
    epoll_ctl(epoll, EPOLL_CTL_DEL, c.pointee.client.fd, nil)
    _ = outbox.pass(c.pointee.client.fd)
    closeConnection(c)
  }
}
