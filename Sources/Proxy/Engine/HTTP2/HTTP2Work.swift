import HTTP2

/// What a worker has for HTTP/2: memory that sessions and streams share or take turns with.
final class HTTP2Work {
  /// The section that was decoded last.
  var list: HeaderList
  /// For responses of the proxy's own.
  var answer: HeaderList
  /// For what was HTTP/1: it holds the fields of the largest head there is.
  var output: HeaderList
  var chunks = BufferPool(size: ChunkQueue.chunkSize, reserve: 256)
  var pool = HTTP2Pool()
  private var freeSessions: [SessionPointer] = []
  /// Places for a stream, with its legs behind it.
  private var freeStreams: [UnsafeMutableRawPointer] = []
  private var slabs: [UnsafeMutableRawPointer] = []

  private static let sessionReserve = 64
  private static let slabCount = 32

  init(limits: HTTPLimits) {
    list = HeaderList(limit: limits.head)
    answer = HeaderList(limit: 4096)
    output = HeaderList(limit: Endpoint.capacity + Endpoint.slack + 32 * HeaderList.fieldCapacity)
  }

  deinit {
    for session in freeSessions {
      session.pointee.deallocate()
      session.deallocate()
    }
    for slab in slabs { slab.deallocate() }
    chunks.unmapAll()
    list.deallocate()
    answer.deallocate()
    output.deallocate()
  }

  func makeSession(_ c: ConnectionPointer, carrying carried: Role?) -> SessionPointer {
    if let session = freeSessions.popLast() {
      session.pointee = HTTP2Session(c, carrying: carried, reusing: session.pointee)
      return session
    }
    let session = SessionPointer.allocate(capacity: 1)
    session.initialize(to: HTTP2Session(c, carrying: carried, reusing: nil))
    return session
  }

  /// Its memory stays as it is until another one takes it.
  func recycle(_ session: SessionPointer) { freeSessions.append(session) }

  /// Gives back what a burst needed. Not to be called while a connection is served.
  func trim() {
    while freeSessions.count > Self.sessionReserve {
      let session = freeSessions.removeFirst()
      session.pointee.deallocate()
      session.deallocate()
    }
  }

  func makeStream(_ c: ConnectionPointer, _ number: UInt32, _ session: SessionPointer, now: UInt64) -> StreamPointer {
    if freeStreams.isEmpty { grow() }
    guard let place = freeStreams.popLast() else { preconditionFailure("a slab holds streams") }
    let legs = (place + MemoryLayout<HTTP2Stream>.stride).bindMemory(to: HTTP2Leg.self, capacity: 2)
    for role in [Role.client, .server] {
      let window = session.pointee.side(role).pointee.settings.initialWindowSize
      (legs + role.rawValue).initialize(to: HTTP2Leg(number: role == .client ? number : 0, sendWindow: window))
    }
    let stream = place.bindMemory(to: HTTP2Stream.self, capacity: 1)
    stream.initialize(to: HTTP2Stream(c, legs: legs, now: now))
    return stream
  }

  /// Its memory stays as it is until another one takes it.
  func recycle(_ stream: StreamPointer) { freeStreams.append(UnsafeMutableRawPointer(stream)) }

  private func grow() {
    let legSize = MemoryLayout<HTTP2Leg>.stride * 2
    let stride = (MemoryLayout<HTTP2Stream>.stride + legSize + 15) & ~15
    let slab = UnsafeMutableRawPointer.allocate(byteCount: stride * Self.slabCount, alignment: 16)
    slabs.append(slab)
    for index in 0..<Self.slabCount { freeStreams.append(slab + index * stride) }
  }
}
