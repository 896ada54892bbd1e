import Glibc
import JSON

/// Asks the agent of this node, over its Unix socket. Every call opens a connection of its own and blocks the thread.
///
///     let client = NodeClient(socketPath: "/var/lib/martlet/agent.sock")
///     let status = try client.get("/v1/status", as: AgentStatus.self)
public struct NodeClient: Sendable {
  public let socketPath: String
  /// For a whole request; in a stream, for the head of the answer.
  public let timeout: Duration

  static let maximumAnswer = 256 << 20

  public init(socketPath: String, timeout: Duration = .seconds(30)) {
    self.socketPath = socketPath
    self.timeout = timeout
  }

  public func get(_ path: String) throws(NodeError) -> JSONValue { try request("GET", path, nil) }

  public func post(_ path: String, _ body: JSONValue) throws(NodeError) -> JSONValue {
    try request("POST", path, body)
  }

  public func get<Model: NodeModel>(_ path: String, as type: Model.Type) throws(NodeError) -> Model {
    try NodeClient.decoded(try get(path))
  }

  public func get<Model: NodeModel>(_ path: String, listOf type: Model.Type) throws(NodeError) -> [Model] {
    try NodeClient.decodedList(try get(path))
  }

  public func post<Model: NodeModel>(
    _ path: String, _ body: some NodeModel, as type: Model.Type
  ) throws(NodeError) -> Model {
    try post(path, body.json, as: type)
  }

  public func post<Model: NodeModel>(
    _ path: String, _ body: JSONValue, as type: Model.Type
  ) throws(NodeError) -> Model {
    try NodeClient.decoded(try post(path, body))
  }

  /// Reads an answer of JSON lines as it comes, until it ends or `body` returns false. Between two lines any time may
  /// pass.
  public func stream(_ path: String, _ body: (JSONValue) throws -> Bool) throws {
    var (head, reader) = try open("GET", path, nil)
    guard head.code < 300 else { throw try failure(head, &reader) }
    reader.deadline = nil
    var rest: [UInt8] = []
    while let chunk = try reading({ () throws(HTTPReader.Failure) in
      try reader.chunk(maximum: NodeClient.maximumAnswer)
    }) {
      rest += chunk
      while let end = rest.firstIndex(of: 0x0A) {
        let line = try NodeClient.parsed(rest[..<end])
        rest.removeFirst(end + 1)
        guard try body(line) else { return }
      }
    }
  }

  private func request(_ method: String, _ path: String, _ body: JSONValue?) throws(NodeError) -> JSONValue {
    var (head, reader) = try open(method, path, body)
    guard head.code < 300 else { throw try failure(head, &reader) }
    let bytes = try self.body(head, &reader)
    return bytes.isEmpty ? .null : try NodeClient.parsed(bytes[...])
  }

  private struct AnswerHead {
    let code: Int
    let headers: [String: String]
  }

  private func open(
    _ method: String, _ path: String, _ body: JSONValue?
  ) throws(NodeError) -> (AnswerHead, HTTPReader) {
    let deadline = ContinuousClock.now + timeout
    let content = body?.serialized()
    var request = "\(method) \(path) HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n"
    if let content { request += "Content-Type: application/json\r\nContent-Length: \(content.count)\r\n" }
    let socket: UnixSocket
    do throws(SystemCall.Failure) {
      socket = try connected(until: deadline)
      try socket.write(Array((request + "\r\n").utf8) + (content ?? []), until: deadline)
    } catch {
      // A server that refuses early may close before it has read everything; its answer still counts.
      throw mapped(error)
    }
    var reader = HTTPReader(socket, deadline: deadline)
    let head = try reading { () throws(HTTPReader.Failure) in try reader.head() }
    guard head.start.count >= 2, head.start[0].hasPrefix("HTTP/1."), let code = Int(head.start[1]) else {
      throw .malformed("not HTTP")
    }
    return (AnswerHead(code: code, headers: head.headers), reader)
  }

  /// EAGAIN means that the agent's backlog is full, and that it may soon not be.
  private func connected(until deadline: ContinuousClock.Instant) throws(SystemCall.Failure) -> UnixSocket {
    while true {
      do throws(SystemCall.Failure) {
        return try UnixSocket.connect(to: socketPath)
      } catch {
        guard error.errno == EAGAIN else { throw error }
        guard .now < deadline else { throw SystemCall.Failure(call: "connect", errno: ETIMEDOUT) }
        usleep(10_000)
      }
    }
  }

  private func body(_ head: AnswerHead, _ reader: inout HTTPReader) throws(NodeError) -> [UInt8] {
    if let text = head.headers["content-length"] {
      guard let length = Int(text), length >= 0 else { throw .malformed("content-length") }
      return try reading { () throws(HTTPReader.Failure) in
        try reader.body(length: length, maximum: NodeClient.maximumAnswer)
      }
    }
    var body: [UInt8] = []
    guard head.headers["transfer-encoding"] == "chunked" else { return body }
    while let chunk = try reading({ () throws(HTTPReader.Failure) in
      try reader.chunk(maximum: NodeClient.maximumAnswer - body.count)
    }) {
      body += chunk
    }
    return body
  }

  /// The error that an answer of 300 and above carries: `{"error": "…"}`.
  private func failure(_ head: AnswerHead, _ reader: inout HTTPReader) throws(NodeError) -> NodeError {
    let bytes = try body(head, &reader)
    let message = (try? JSONValue(parsing: bytes))?["error"]?.stringValue
    return .refused(code: head.code, message: message ?? "the agent answered \(head.code)")
  }

  private func reading<Value>(_ body: () throws(HTTPReader.Failure) -> Value) throws(NodeError) -> Value {
    do throws(HTTPReader.Failure) {
      return try body()
    } catch {
      switch error {
      case .system(let failure): throw mapped(failure)
      case .closed: throw .unreachable(socketPath: socketPath, reason: "it closed the connection")
      case .malformed(let what): throw .malformed(what)
      case .tooLarge(let what): throw .malformed("\(what) too large")
      }
    }
  }

  private func mapped(_ failure: SystemCall.Failure) -> NodeError {
    failure.errno == ETIMEDOUT
      ? .timedOut(socketPath: socketPath)
      : .unreachable(socketPath: socketPath, reason: String(cString: strerror(failure.errno)))
  }

  private static func parsed(_ bytes: ArraySlice<UInt8>) throws(NodeError) -> JSONValue {
    do throws(JSONError) {
      return try JSONValue(parsing: bytes)
    } catch {
      throw .malformed("\(error)")
    }
  }

  private static func decoded<Model: NodeModel>(_ value: JSONValue) throws(NodeError) -> Model {
    do throws(FieldError) {
      return try Model(decoding: JSONCursor(value))
    } catch {
      throw .malformed("\(error)")
    }
  }

  private static func decodedList<Model: NodeModel>(_ value: JSONValue) throws(NodeError) -> [Model] {
    do throws(FieldError) {
      return try JSONCursor(value).elements().map { (element) throws(FieldError) in try Model(decoding: element) }
    } catch {
      throw .malformed("\(error)")
    }
  }
}
