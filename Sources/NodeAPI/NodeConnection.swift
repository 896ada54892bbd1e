import Glibc
import JSON

/// One connection to the server: one request and its answer, on a thread of its own.
struct NodeConnection: Sendable {
  let socket: UnixSocket
  let limits: NodeServer.Limits
  let handler: NodeServer.Handler

  func serve() {
    var reader = HTTPReader(socket, deadline: .now + limits.requestTimeout)
    do throws(HTTPReader.Failure) {
      let request = try request(&reader)
      try? answer(request)
    } catch {
      switch error {
      case .system(let failure) where failure.errno == ETIMEDOUT: try? refuse(408, "the request took too long")
      case .system, .closed: break
      case .malformed(let what): try? refuse(400, "malformed request: \(what)")
      case .tooLarge(let what): try? refuse(413, "\(what) too large")
      }
    }
    finish()
  }

  private func request(_ reader: inout HTTPReader) throws(HTTPReader.Failure) -> NodeRequest {
    let head = try reader.head()
    guard head.start.count == 3, head.start[2].hasPrefix("HTTP/1.") else { throw .malformed("request line") }
    guard head.headers["transfer-encoding"] == nil else { throw .malformed("a body needs content-length") }
    var body: [UInt8] = []
    if let text = head.headers["content-length"] {
      guard !text.isEmpty, text.utf8.allSatisfy({ 48...57 ~= $0 }), let length = Int(text) else {
        throw .malformed("content-length")
      }
      if head.headers["expect"]?.lowercased() == "100-continue", length <= limits.maximumBody {
        try? write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
      }
      body = try reader.body(length: length, maximum: limits.maximumBody)
    }
    guard let request = NodeRequest(method: head.start[0], target: head.start[1], body: body) else {
      throw .malformed("request target")
    }
    return request
  }

  /// Runs the handler in a task, and writes what it puts into the mailbox. A client that hangs up cancels the task.
  private func answer(_ request: NodeRequest) throws(SystemCall.Failure) {
    let mailbox = try Mailbox()
    let task = Task { [handler] in
      switch await handler(request) {
      case .json(let value, let code): try await mailbox.put(.bytes(NodeConnection.message(code, value)))
      case .error(let message, let code):
        try await mailbox.put(.bytes(NodeConnection.message(code, ["error": .string(message)])))
      case .lines(let produce):
        try await mailbox.put(.bytes(NodeConnection.chunkedHead))
        // What has been written stays good; the missing end tells the client that more was to come.
        try await produce { line in try await mailbox.put(.bytes(NodeConnection.chunk(line))) }
        try await mailbox.put(.bytes(Array("0\r\n\r\n".utf8)))
      }
      try await mailbox.put(.end)
    }
    let ending = Task {
      if case .failure = await task.result { try await mailbox.put(.end) }
    }
    defer {
      mailbox.close()
      task.cancel()
      ending.cancel()
    }
    while true {
      var descriptors = [
        pollfd(fd: mailbox.signal.receiver.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: socket.descriptor.number, events: SystemCall.pollRDHUP, revents: 0),
      ]
      _ = try SystemCall.poll(&descriptors, until: nil)
      if descriptors[1].revents != 0 { return }
      for item in mailbox.take() {
        guard case .bytes(let bytes) = item else { return }
        try write(bytes)
      }
    }
  }

  private func refuse(_ code: Int, _ message: String) throws(SystemCall.Failure) {
    try write(NodeConnection.message(code, ["error": .string(message)]))
  }

  /// Lets the client read the answer even if it is still sending: closing with unread bytes would reset the connection.
  private func finish() {
    shutdown(socket.descriptor.number, Int32(SHUT_WR))
    let deadline = ContinuousClock.now + .milliseconds(200)
    while let bytes = try? socket.read(upTo: 64 << 10, until: deadline), !bytes.isEmpty, .now < deadline {}
  }

  private func write(_ bytes: [UInt8]) throws(SystemCall.Failure) {
    try socket.write(bytes, until: .now + limits.writeTimeout)
  }

  private static func message(_ code: Int, _ value: JSONValue) -> [UInt8] {
    let body = value.serialized()
    let head =
      "HTTP/1.1 \(code) \(code < 300 ? "OK" : "Error")\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body
  }

  private static let chunkedHead = Array(
    "HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".utf8
  )

  private static func chunk(_ line: JSONValue) -> [UInt8] {
    let bytes = line.serialized()
    return Array("\(String(bytes.count + 1, radix: 16))\r\n".utf8) + bytes + Array("\n\r\n".utf8)
  }
}
