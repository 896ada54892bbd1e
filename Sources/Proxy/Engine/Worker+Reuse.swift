import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Connections to servers outlive those of clients for a few seconds, so that a client that connects for each request
/// does not make the proxy do the same.
///
/// The server notices nothing: it still sees the client's address. What would notice is left out: requests that may not
/// be sent twice (the server may close while the request is on its way), and authentication that belongs to a connection.
extension Worker {
  private static let closeField: StaticString = "connection: close\r\n"

  /// Keeps the server's connection for others when nothing is left on it.
  /// - Returns: whether `c` has none any more.
  func park(_ c: ConnectionPointer) -> Bool {
    guard !c.pointee.closesAfter, !c.pointee.responseCloses, !c.pointee.sentHalfClose,
      c.pointee.request == .head || c.pointee.request == .complete,
      c.pointee.response == .idle || c.pointee.response == .complete, !c.pointee.hasExchange,
      c.pointee.client.pending == 0
    else { return false }
    return parkIdle(c)
  }

  /// As `park`, of a connection on which no exchange is under way.
  func parkIdle(_ c: ConnectionPointer) -> Bool {
    let upstream = c.pointee.upstream
    guard upstream.fd >= 0, !isDraining, c.pointee.upstreamRequests > 0, c.pointee.isConnected, !c.pointee.isPrivate,
      upstream.pending == 0, upstream.unexamined == 0, !upstream.hasEnded, !upstream.isHangingUp
    else { return false }
    let timeout = shared.timeouts.upstreamIdle.nanoseconds
    let revision = shared.resolver.revision
    guard timeout > 0, c.pointee.isResolved, c.pointee.policy.revision == revision else { return false }
    // From here on only its end is of interest; the change also reports an end that was there already.
    watch(
      upstream.fd, UInt32(CLINUX_EPOLL_IN | CLINUX_EPOLL_RDHUP) | CLINUX_EPOLL_EDGE,
      UInt64(UInt32(bitPattern: upstream.fd)) << 32 | Self.parkedData)
    parked.add(upstream.fd, for: key(c), now: now)
    c.pointee.upstream.fd = -1
    closeUpstream(c)
    return true
  }

  /// Gives the request in `head` a parked connection, if it may have one and there is one.
  func takeParked(_ c: ConnectionPointer) -> Bool {
    guard !parked.isEmpty, c.pointee.routed != 0 || isRepeatable(c), !c.pointee.isPrivate, c.pointee.isResolved,
      c.pointee.policy.revision == shared.resolver.revision, let fd = parked.take(key(c))
    else { return false }
    counters.upstreamReuses.add()
    c.pointee.upstream = Endpoint()
    c.pointee.upstream.fd = fd
    c.pointee.upstream.isWritable = true
    c.pointee.isConnected = true
    c.pointee.upstreamRequests = 1
    watch(fd, Self.streamEvents, UInt64(UInt(bitPattern: c)) | 1)
    return true
  }

  /// Whether the request in `head` can be sent again when the server closes without an answer.
  func isRepeatable(_ c: ConnectionPointer) -> Bool {
    head.isIdempotent && head.framing == .none && c.pointee.headCount == head.length
  }

  func key(_ c: ConnectionPointer) -> ParkedConnections.Key {
    ParkedConnections.Key(
      client: c.pointee.clientAddress.address, server: c.pointee.serverAddress, policy: c.pointee.policy)
  }

  private func watch(_ fd: Int32, _ interest: UInt32, _ data: UInt64) {
    var event = epoll_event()
    event.events = interest
    event.data.u64 = data
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event)
  }

  /// Whether the request carries credentials that hold for its connection, not for itself alone (RFC 4559, 6).
  func bindsConnection(_ bytes: UnsafePointer<UInt8>) -> Bool {
    for line in fields.lines
    where line.name.count == 13 && line.name.equalsIgnoringCase("authorization", in: bytes) {
      for scheme in ["ntlm", "negotiate"] as [StaticString] {
        let count = scheme.utf8CodeUnitCount
        if line.value.count >= count,
          ByteRange(start: line.value.start, count: count).equalsIgnoringCase(scheme, in: bytes)
        {
          return true
        }
      }
    }
    return false
  }

  // MARK: `Connection: close`, which is between client and proxy (RFC 9110, 7.6.1)

  /// The one `Connection` field of a head, if all that it says is `close`. Other options name fields that would have to go
  /// too.
  func closeLine(_ bytes: UnsafePointer<UInt8>) -> FieldLine? {
    var found: FieldLine?
    for line in fields.lines
    where line.name.count == 10 && line.name.equalsIgnoringCase("connection", in: bytes) {
      guard found == nil, line.value.count == 5, line.value.equalsIgnoringCase("close", in: bytes) else { return nil }
      found = line
    }
    return found
  }

  /// Takes the client's `Connection: close` out of a request that may be sent over a connection that stays. The client's
  /// own connection ends all the same.
  func keepUpstreamOpen(_ c: ConnectionPointer, _ bytes: UnsafeMutablePointer<UInt8>) {
    guard head.wantsClose, head.isHTTP11, isRepeatable(c), !c.pointee.isPrivate, !isDraining,
      shared.timeouts.upstreamIdle > .zero, let block = c.pointee.block, let line = closeLine(bytes)
    else { return }
    var end = line.value.end
    while bytes[end] != Octet.lineFeed { end &+= 1 }
    end &+= 1
    let count = end &- line.name.start
    memmove(bytes + line.name.start, bytes + end, c.pointee.client.unexamined &- end)
    memmove(block + line.name.start, block + end, head.length &- end)
    if c.pointee.host.start >= end { c.pointee.host.start &-= count }
    c.pointee.client.end &-= count
    c.pointee.headCount &-= count
    head.length &-= count
    c.pointee.hasRemovedClose = true
  }

  /// Tells the client what the server was not asked to tell it. A response without room for it ends its connection anyway.
  func restoreClose(_ c: ConnectionPointer) {
    guard c.pointee.hasRemovedClose, !responseHead.closes, let base = c.pointee.upstream.base else { return }
    let count = Self.closeField.utf8CodeUnitCount
    guard c.pointee.upstream.end &+ count <= Endpoint.capacity else { return }
    let at = c.pointee.upstream.validated &+ responseHead.length &- 2
    memmove(base + at + count, base + at, c.pointee.upstream.end &- at)
    memcpy(base + at, Self.closeField.utf8Start, count)
    c.pointee.upstream.end &+= count
    responseHead.length &+= count
  }
}
