import HTTP2

extension Worker {
  /// Streams that a server is thought to take before it, or another connection to it, has said how many.
  private static let presumedStreams = 100

  /// Gives the request a stream of an HTTP/2 connection to its server, of a new one where the others are full.
  /// - Returns: errno when there is none, else 0.
  func join(_ c: ConnectionPointer) -> Int32 {
    let work = http2Work()
    c.pointee.isConnected = false
    c.pointee.upstreamRequests = 0
    c.pointee.connectStartedAt = now
    var presumed = Self.presumedStreams
    for carrier in work.pool(key(c)) {
      guard let session = carrier.pointee.http2 else { continue }
      presumed = min(presumed, streamLimit(session))
      guard mayOpen(session) else { continue }
      counters.upstreamReuses.add()
      c.pointee.upstreamRequests = 1
      join(c, session, work)
      return 0
    }
    var new = Connection(
      client: -1, clientAddress: c.pointee.clientAddress, serverAddress: c.pointee.serverAddress, now: now)
    new.policy = c.pointee.policy
    new.isResolved = true
    new.dialsAsNode = c.pointee.dialsAsNode
    new.generation = c.pointee.generation
    let carrier = connections.add(new)
    let session = work.makeSession(carrier, carrying: .server)
    carrier.pointee.request = .http2
    carrier.pointee.http2 = session
    let error = connect(carrier)
    guard error == 0 else {
      closeConnection(carrier)
      return error
    }
    session.pointee.streamLimit = presumed
    work.pool.add(carrier, key(carrier))
    greetServer(session)
    join(c, session, work)
    enqueue(carrier)
    return 0
  }

  private func mayOpen(_ session: SessionPointer) -> Bool {
    session.pointee.count < streamLimit(session) && session.pointee.lastServed == .max
      && !session.pointee.isClosing && session.pointee.side(.server).pointee.lastStream < 0x7FFF_0000
  }

  /// Streams that the server takes at once, or is thought to take.
  private func streamLimit(_ session: SessionPointer) -> Int {
    let server = session.pointee.side(.server)
    guard server.pointee.hasSettings else { return session.pointee.streamLimit }
    return min(Int(server.pointee.settings.maximumConcurrentStreams), HTTP2Session.maximumStreams)
  }

  private func join(_ c: ConnectionPointer, _ session: SessionPointer, _ work: HTTP2Work) {
    let carrier = session.pointee.connection
    let stream = work.makeStream(carrier, 0, session, now: now)
    stream.pointee.role = .server
    stream.pointee.exchange = c
    session.pointee.add(stream)
    c.pointee.upstream = Endpoint()
    c.pointee.upstream.stream = stream
    c.pointee.upstream.isWritable = true
    c.pointee.isConnected = carrier.pointee.isConnected
  }
}
