#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension ProxyServer {
  /// Takes no more connections for now. Blocks the thread until that is so; false when it does not come to be.
  func pause() -> Bool {
    for box in workers { box.pause() }
    return wait(for: .paused)
  }

  func resume() { for box in workers { box.resume() } }

  /// Ends the listeners, and the connections as `departure` says; after ``pause()`` none is lost. Returns when no worker
  /// passes connections to other engines any more.
  func depart(_ departure: Departure) {
    for box in workers { box.depart(departure) }
    _ = wait(for: .departing)
    closeListeners()
  }

  /// Takes over a client's connection that another proxy has accepted.
  func adopt(_ fd: Int32) {
    guard let client = Socket.peerAddress(fd), let server = Socket.localAddress(fd),
      let box = workers.min(by: { $0.load.load(ordering: .relaxed) < $1.load.load(ordering: .relaxed) })
    else {
      // The client has gone meanwhile.
      close(fd)
      return
    }
    box.load.add(1, ordering: .relaxed)
    box.hand(over: AcceptedSocket(fd: fd, client: client, server: server))
  }

  /// Workers look at their mailbox at once, unless the machine has other work.
  private func wait(for mode: WorkerMailbox.Mode) -> Bool { workers.wait(for: mode) }
}

extension [WorkerMailbox] {
  /// Blocks the thread until all workers have come to `mode`; false when that takes more than two seconds.
  func wait(for mode: WorkerMailbox.Mode) -> Bool {
    for _ in 0..<10_000 {
      if allSatisfy({ $0.has(reached: mode) }) { return true }
      usleep(200)
    }
    return false
  }
}
