import Glibc
import JSON
import Synchronization
import TestSupport
import Testing
import Threads

@testable import NodeAPI

/// A server in a directory of its own, and a client for it.
struct Pair {
  let directory: String
  let path: String
  let server: NodeServer
  let client: NodeClient

  init(limits: NodeServer.Limits = .init(), timeout: Duration = .seconds(5), _ handler: @escaping NodeServer.Handler)
    throws
  {
    directory = try TemporaryDirectory.make("node")
    path = directory + "/agent.sock"
    server = try NodeServer(socketPath: path, limits: limits, handler: handler)
    client = NodeClient(socketPath: path, timeout: timeout)
  }

  func close() {
    server.stop()
    TemporaryDirectory.remove(directory)
  }
}

/// Sends bytes as they are, and returns all that comes back.
func raw(_ path: String, _ text: String) throws -> String {
  let socket = try UnixSocket.connect(to: path)
  let deadline = ContinuousClock.now + .seconds(20)
  try? socket.write(Array(text.utf8), until: deadline)
  var answer: [UInt8] = []
  while let bytes = try? socket.read(upTo: 4096, until: deadline), !bytes.isEmpty { answer += bytes }
  return String(decoding: answer, as: UTF8.self)
}

/// Runs what blocks on a thread of its own: the tests' tasks and the handlers share few threads.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    let started = DetachedThread.tryStart { continuation.resume(with: Result { try body() }) }
    precondition(started == 0)
  }
}

@Suite struct NodeTests {
  @Test func requestsAndAnswers() async throws {
    try await onThread {
      let pair = try Pair { request in
        let body = (try? request.json()) ?? .null
        return .json([
          "method": .string(request.method), "path": .string(request.path), "body": body,
          "q": .string(request.query["a"] ?? ""),
        ])
      }
      defer { pair.close() }
      #expect(
        try pair.client.get("/v1/x?a=" + NodeClient.escaped("ä &=+"))
          == ["method": "GET", "path": "/v1/x", "body": .null, "q": "ä &=+"])
      let big = JSONValue.array(Array(repeating: .string("0123456789"), count: 100_000))
      #expect(try pair.client.post("/v1/y", big)["body"] == big)
    }
  }

  @Test func manyAtOnce() async throws {
    let pair = try Pair { request in .json(.string(request.path)) }
    defer { pair.close() }
    let client = pair.client
    let paths = try await withThrowingTaskGroup(of: JSONValue.self) { group in
      for number in 0..<200 { group.addTask { try await onThread { try client.get("/\(number)") } } }
      return try await group.reduce(into: Set<JSONValue>()) { $0.insert($1) }
    }
    #expect(paths.count == 200)
  }

  @Test func errorsOfTheAgent() async throws {
    try await onThread {
      let pair = try Pair { _ in .error("no endpoint default/x", code: 404) }
      defer { pair.close() }
      let error = try #require(throws: NodeError.self) { try pair.client.get("/") }
      #expect(error == .refused(code: 404, message: "no endpoint default/x") && error.exitCode == 2)
      #expect(throws: error) { try pair.client.stream("/") { _ in true } }
    }
  }

  @Test func agentsThatCanNotBeReached() async throws {
    let nobody = NodeClient(socketPath: "/nowhere/agent.sock")
    let error = try #require(throws: NodeError.self) { try nobody.get("/") }
    #expect(error.exitCode == 3 && error.description.contains("/nowhere/agent.sock: No such file"))
    let long = NodeClient(socketPath: "/" + String(repeating: "x", count: 200))
    #expect(try #require(throws: NodeError.self) { try long.get("/") }.description.contains("too long"))

    let pair = try Pair(timeout: .milliseconds(100)) { _ in
      try? await Task.sleep(for: .seconds(60))
      return .json(.null)
    }
    defer { pair.close() }
    let client = pair.client
    let silent = try await #require(throws: NodeError.self) { try await onThread { try client.get("/") } }
    #expect(silent == .timedOut(socketPath: pair.path) && silent.exitCode == 3)
  }

  @Test func streams() async throws {
    try await onThread {
      let pair = try Pair { _ in
        .lines { write in
          for number in 0..<1000 { try await write(["n": .integer(Int64(number))]) }
        }
      }
      defer { pair.close() }
      var numbers: [Int64] = []
      try pair.client.stream("/") { line in
        numbers.append(line["n"]?.integerValue ?? -1)
        return true
      }
      #expect(numbers == Array(0..<1000))
      var first: JSONValue?
      try pair.client.stream("/") { line in
        first = line
        return false
      }
      #expect(first == ["n": 0])
    }
  }

  @Test func aStreamThatFailsIsNotTakenForComplete() async throws {
    try await onThread {
      let pair = try Pair { _ in
        .lines { write in
          try await write(1)
          throw ClientGone()
        }
      }
      defer { pair.close() }
      var lines: [JSONValue] = []
      let error = try #require(throws: NodeError.self) {
        try pair.client.stream("/") { line in
          lines.append(line)
          return true
        }
      }
      #expect(lines == [1] && error.exitCode == 3)
    }
  }

  @Test func theProducerLearnsThatTheClientHasGone() async throws {
    let (ends, end) = AsyncStream<Bool>.makeStream()
    let pair = try Pair { _ in
      .lines { write in
        // One line, and then nothing to write: only the cancellation tells.
        try await write(1)
        try? await Task.sleep(for: .seconds(60))
        end.yield(Task.isCancelled)
      }
    }
    defer { pair.close() }
    let client = pair.client
    try await onThread { try client.stream("/") { _ in false } }
    #expect(await ends.first { _ in true } == true)
  }

  @Test func aSlowClientHoldsTheProducerBack() async throws {
    let written = Written()
    let pair = try Pair { _ in
      .lines { write in
        let line = JSONValue.string(String(repeating: "x", count: 10_000))
        while true {
          try await write(line)
          written.count.withLock { $0 += 1 }
        }
      }
    }
    defer { pair.close() }
    let socket = try UnixSocket.connect(to: pair.path)
    try socket.write(Array("GET / HTTP/1.1\r\n\r\n".utf8), until: .now + .seconds(1))
    try await Task.sleep(for: .milliseconds(300))
    // The socket's buffers and two fillings of the mailbox.
    #expect(written.count.withLock { $0 } < 500)
  }

  final class Written: Sendable {
    let count = Mutex(0)
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\r\n", "200"), ("nonsense\r\n\r\n", "400"), ("GET x HTTP/1.1\r\n\r\n", "400"),
    ("GET /?a=%zz HTTP/1.1\r\n\r\n", "400"), ("GET / HTTP/1.1\r\n: b\r\n\r\n", "400"),
    ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
    ("POST / HTTP/1.1\r\nContent-Length: 2001\r\n\r\n", "413"),
    ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\na: \(String(repeating: "x", count: 70_000))", "413"),
    ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", "408"),
    ("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", "100"),
  ])
  func requestsAreBoundedAndChecked(_ request: String, _ code: String) async throws {
    try await onThread {
      var limits = NodeServer.Limits()
      limits.maximumBody = 2000
      limits.requestTimeout = .milliseconds(300)
      let pair = try Pair(limits: limits) { _ in .json([:]) }
      defer { pair.close() }
      #expect(try raw(pair.path, request).hasPrefix("HTTP/1.1 \(code) "))
    }
  }

  @Test func theSocketIsOursAlone() async throws {
    try await onThread {
      let pair = try Pair { _ in .json(1) }
      defer { pair.close() }
      var status = stat()
      #expect(lstat(pair.path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
      #expect(throws: NodeServerError.inUse(socketPath: pair.path)) {
        try NodeServer(socketPath: pair.path) { _ in .json(2) }
      }
      #expect(try pair.client.get("/") == 1)
    }
  }

  @Test func aStaleSocketIsReplacedAndAFileIsNot() async throws {
    try await onThread {
      let directory = try TemporaryDirectory.make("node")
      defer { TemporaryDirectory.remove(directory) }
      let path = directory + "/agent.sock"
      do {
        let dead = try UnixSocket.make()
        try dead.bind(to: path)
      }
      let server = try NodeServer(socketPath: path) { _ in .json(1) }
      #expect(try NodeClient(socketPath: path).get("/") == 1)
      server.stop()
      #expect(access(path, F_OK) != 0)
      Glibc.close(creat(path, 0o600))
      let error = try #require(throws: NodeServerError.self) { try NodeServer(socketPath: path) { _ in .json(1) } }
      #expect(error.description.contains("File exists"))
      unlink(path)
    }
  }

  @Test func stoppingLeavesASuccessorAlone() async throws {
    try await onThread {
      let directory = try TemporaryDirectory.make("node")
      defer { TemporaryDirectory.remove(directory) }
      let path = directory + "/agent.sock"
      let first = try NodeServer(socketPath: path) { _ in .json(1) }
      unlink(path)
      let second = try NodeServer(socketPath: path) { _ in .json(2) }
      first.stop()
      #expect(try NodeClient(socketPath: path).get("/") == 2)
      second.stop()
    }
  }
}
