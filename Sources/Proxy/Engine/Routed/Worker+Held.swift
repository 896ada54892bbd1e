#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

// A request is kept as the client sent it until its response begins, while it fits into one buffer.
extension Worker {
  /// Keeps the head in `head`, at `bytes`, for variables of the response and for another attempt, where that is not done
  /// anyway.
  func holdHead(_ c: ConnectionPointer, _ bytes: UnsafePointer<UInt8>, _ connection: RoutedConnection) {
    c.pointee.isHolding = connection.mayRetry && head.framing != .none
    guard !connection.held.isInBlock, connection.mayRetry || connection.changesResponses else { return }
    guard let buffer = buffers.take() else {
      c.pointee.isHolding = false
      return
    }
    memcpy(buffer, bytes, head.length)
    connection.held.buffer = buffer
    connection.held.count = head.length
  }

  /// Keeps octets of the request's body.
  func hold(_ c: ConnectionPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
    guard let connection = routed(c), count > 0 else { return }
    if connection.held.buffer == nil { connection.held.buffer = buffers.take() }
    guard let buffer = connection.held.buffer, connection.held.total &+ count <= Endpoint.capacity else {
      // From here on there is no second attempt.
      c.pointee.isHolding = false
      if connection.held.isInBlock { releaseHeld(c, connection) }
      return
    }
    memcpy(buffer + connection.held.count, bytes, count)
    connection.held.count &+= count
  }

  func releaseHeld(_ c: ConnectionPointer, _ connection: RoutedConnection) {
    c.pointee.isHolding = false
    if let buffer = connection.held.buffer { buffers.give(buffer) }
    connection.held.buffer = nil
    connection.held.count = 0
  }

  /// Whether all that has come of the request is still there, and fits before what waits behind it.
  func canRewind(_ c: ConnectionPointer, _ connection: RoutedConnection) -> Bool {
    guard connection.held.hasHead, c.pointee.requestBody.isEmpty || c.pointee.isHolding else { return false }
    return connection.held.total &+ c.pointee.client.unexamined <= Endpoint.capacity
  }

  /// Puts the request as it came before what has been read behind it, and reads its head again.
  /// - Returns: where it stands; nil when that can not be done.
  func rewind(_ c: ConnectionPointer, _ connection: RoutedConnection) -> UnsafeMutablePointer<UInt8>? {
    guard canRewind(c, connection) else { return nil }
    closeUpstream(c)
    c.pointee.client.start = c.pointee.client.validated
    c.pointee.client.compact()
    let waiting = c.pointee.client.unexamined
    guard let memory = room(&c.pointee.client, clientScratch) else { return nil }
    let held = connection.held
    memmove(memory + held.total, memory, waiting)
    var at = 0
    if held.isInBlock, let block = c.pointee.block {
      memcpy(memory, block, held.headLength)
      at = held.headLength
    }
    if let buffer = held.buffer { memcpy(memory + at, buffer, held.count) }
    c.pointee.client.start = 0
    c.pointee.client.validated = 0
    c.pointee.client.end = held.total &+ waiting
    // The body is read, and held, once more.
    connection.held.count = held.isInBlock ? 0 : held.headLength
    guard head.parse(memory, length: held.headLength, fields: &fields) == nil else { return nil }
    c.pointee.requestBody = BodyReader(head.framing)
    c.pointee.request = .head
    c.pointee.closesAfter = isDraining || c.pointee.client.hasEnded
    c.pointee.context.wantsUpgrade = head.wantsUpgrade
    c.pointee.isReplayable = false
    c.pointee.sentHalfClose = false
    c.pointee.sawResponse = false
    c.pointee.requestOctets = 0
    return memory
  }
}
