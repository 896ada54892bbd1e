import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

extension DNSWorker {
  func open(_ socket: AcceptedSocket) {
    guard streams.count < proxy.options.maximumStreams else {
      Socket.resetOnClose(socket.fd)
      close(socket.fd)
      return
    }
    lastStream += 1
    streams[lastStream] = DNSStream(number: lastStream, socket: socket, now: now)
    watch(socket.fd, .client, lastStream)
  }

  func serveClient(_ stream: DNSStream, _ events: UInt32) {
    if events & UInt32(CLINUX_EPOLL_ERR) != 0 { return end(stream) }
    if events & UInt32(CLINUX_EPOLL_IN | CLINUX_EPOLL_HUP) != 0 {
      guard receive(stream.clientFD, &stream.fromClient) else {
        stream.isHalfClosed = true
        // Answers that are on their way still go to a client that only has no more to ask.
        return settle(stream)
      }
      while let message = DNSStream.message(&stream.fromClient) {
        stream.activeAt = now
        message.withUnsafeBytes {
          take($0, client: stream.client, server: stream.server, transport: .stream(stream.number))
        }
        guard streams[stream.number] != nil else { return }
      }
    }
    settle(stream)
  }

  func serveServer(_ stream: DNSStream, _ events: UInt32) {
    let isOver =
      events & UInt32(CLINUX_EPOLL_ERR) != 0
      || events & UInt32(CLINUX_EPOLL_IN | CLINUX_EPOLL_HUP) != 0 && !receive(stream.serverFD, &stream.fromServer)
    while let message = DNSStream.message(&stream.fromServer) {
      stream.activeAt = now
      answer(stream, message)
    }
    if isOver { endServer(stream) }
    settle(stream)
  }

  /// - Returns: false when the other side is done.
  private func receive(_ fd: Int32, _ into: inout [UInt8]) -> Bool {
    var isOpen = true
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16384) { buffer in
      guard let start = buffer.baseAddress else { return }
      let count = Socket.receive(fd, start, buffer.count)
      if count > 0 { into.append(contentsOf: buffer[..<count]) }
      isOpen = count > 0 || count == -Int(EAGAIN) || count == -Int(EINTR)
    }
    return isOpen
  }

  /// Asks by the stream's own connection to the server, and opens that first if need be.
  func ask(_ exchange: DNSExchange, _ bytes: UnsafeRawBufferPointer, stream number: UInt64) {
    guard let stream = streams[number] else { return }
    let id = exchange.query.header.id
    if stream.serverFD < 0 {
      let fd = proxy.dialer.dial(client: stream.client, server: stream.server, transport: .tcp)
      guard fd >= 0 else { return fail(exchange, bytes) }
      Socket.setNoDelay(fd)
      stream.serverFD = fd
      watch(fd, .server, number, events: CLINUX_EPOLL_IN | CLINUX_EPOLL_OUT)
    }
    // RFC 7766, 6.2.1: ids of one connection must differ while they wait.
    guard stream.exchanges[id] == nil else { return fail(exchange, bytes) }
    stream.exchanges[id] = exchange
    began(exchange)
    DNSStream.append(Array(bytes), to: &stream.toServer)
  }

  private func answer(_ stream: DNSStream, _ message: [UInt8]) {
    guard message.count >= DNSHeader.size,
      let exchange = stream.exchanges[UInt16(message[0]) << 8 | UInt16(message[1])]
    else { return proxy.counters.unexpectedAnswers.add() }
    do throws(DNSFault) {
      let answer = try DNSAnswer(message, question: exchange.question, name: exchange.query.name)
      // A transfer of a zone comes in several messages, of which only the first has the question.
      stream.exchanges[exchange.query.header.id] = nil
      finished(exchange)
      release(exchange, answer, message)
    } catch {
      stream.exchanges[exchange.query.header.id] = nil
      finished(exchange)
      garbled(exchange)
    }
  }

  func push(_ message: [UInt8], to stream: DNSStream) { DNSStream.append(message, to: &stream.toClient) }

  /// Writes what waits, and watches for what is missing.
  func settle(_ stream: DNSStream) {
    guard flush(stream.clientFD, &stream.toClient) else { return end(stream) }
    if stream.serverFD >= 0, !flush(stream.serverFD, &stream.toServer) { endServer(stream) }
    if stream.isHalfClosed && stream.toClient.isEmpty && stream.exchanges.isEmpty { return end(stream) }
    let isFull =
      stream.toClient.count > DNSStream.maximumWaiting || stream.toServer.count > DNSStream.maximumWaiting
    let reads = stream.isHalfClosed || isFull ? 0 : CLINUX_EPOLL_IN
    rewatch(
      stream.clientFD, .client, stream.number, events: reads | (stream.toClient.isEmpty ? 0 : CLINUX_EPOLL_OUT))
    guard stream.serverFD >= 0 else { return }
    rewatch(
      stream.serverFD, .server, stream.number,
      events: (stream.toClient.count > DNSStream.maximumWaiting ? 0 : CLINUX_EPOLL_IN)
        | (stream.toServer.isEmpty ? 0 : CLINUX_EPOLL_OUT))
  }

  /// - Returns: false when the other side takes nothing any more.
  private func flush(_ fd: Int32, _ waiting: inout [UInt8]) -> Bool {
    guard !waiting.isEmpty else { return true }
    let count = waiting.withUnsafeBufferPointer { bytes -> Int in
      guard let start = bytes.baseAddress else { return 0 }
      return Socket.send(fd, start, bytes.count)
    }
    if count > 0 { waiting.removeFirst(count) }
    return count >= 0 || count == -Int(EAGAIN) || count == -Int(EINTR) || count == -Int(ENOTCONN)
  }

  /// The server is gone: what it was asked fails, and the next query finds it anew.
  private func endServer(_ stream: DNSStream) {
    guard stream.serverFD >= 0 else { return }
    close(stream.serverFD)
    stream.serverFD = -1
    stream.fromServer = []
    stream.toServer = []
    let exchanges = stream.exchanges.values
    stream.exchanges = [:]
    for exchange in exchanges {
      finished(exchange)
      proxy.counters.failures.add()
      push(serverFailure(exchange), to: stream)
      record(exchange, code: DNSResponseCode.serverFailure, answer: nil, isDenied: false)
    }
    _ = flush(stream.clientFD, &stream.toClient)
  }

  private func end(_ stream: DNSStream) {
    for exchange in stream.exchanges.values {
      finished(exchange)
      record(exchange, code: nil, answer: nil, isDenied: false)
    }
    stream.exchanges = [:]
    stream.close()
    streams[stream.number] = nil
  }

  func sweepStreams() {
    let idle = proxy.options.idle.nanoseconds
    for stream in Array(streams.values) {
      if now &- stream.activeAt > idle {
        end(stream)
        continue
      }
      for (id, exchange) in stream.exchanges where now &- exchange.startedAt > timeout {
        stream.exchanges[id] = nil
        expired(exchange)
      }
      settle(stream)
    }
  }
}
