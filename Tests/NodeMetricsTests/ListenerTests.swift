import Addressing
import Glibc
import Testing
import Threads

@testable import NodeMetrics

@Suite struct ListenerTests {
  @Test(arguments: [
    ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"),
    ("GET /metrics?x=1 HTTP/1.0\n\n", "HTTP/1.1 200 OK"),
    ("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK"), ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
    ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
    ("hello\r\n\r\n", "HTTP/1.1 400 Bad Request"),
  ]) func answers(_ request: String, _ status: String) async throws {
    let listener = try MetricsListener(.loopback(0))
    let task = Task { await listener.run { [MetricFamily("up", .gauge, "Up.", 1)] } }
    let answer = try await exchange(listener.address.port, request)
    #expect(answer.hasPrefix(status + "\r\n"))
    #expect(answer.contains("\nup 1\n") == (status.hasSuffix("OK") && request.hasPrefix("GET")))
    task.cancel()
    await task.value
  }

  @Test func aSilentClientDelaysOnly() async throws {
    let listener = try MetricsListener(.loopback(0))
    let task = Task { await listener.run { [] } }
    let silent = connect(listener.address.port)
    let answer = try await exchange(listener.address.port, "GET /metrics HTTP/1.1\r\n\r\n")
    #expect(answer.contains("process_resident_memory_bytes "))
    close(silent)
    task.cancel()
    await task.value
  }

  @Test func aTakenPortIsSaid() throws {
    let listener = try MetricsListener(.loopback(0))
    let error = #expect(throws: MetricsError.self) { try MetricsListener(listener.address) }
    #expect(error?.description == "can not listen on \(listener.address) for metrics: Address already in use")
  }

  @Test(
    arguments: [
      ("127.0.0.1:9962", "127.0.0.1:9962"), ("[::1]:1", "[::1]:1"), ("localhost:1", nil),
      ("127.0.0.1", nil), ("127.0.0.1:65536", nil),
    ] as [(String, String?)]) func addresses(_ text: String, _ expected: String?)
  {
    #expect(MetricsAddress(text)?.description == expected)
  }

  private func connect(_ port: UInt16) -> Int32 {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let result = MetricsAddress.loopback(port).withSocketAddress { Glibc.connect(number, $0, $1) }
    #expect(result == 0)
    return number
  }

  private func exchange(_ port: UInt16, _ request: String) async throws -> String {
    let number = connect(port)
    defer { close(number) }
    #expect(send(number, request, request.utf8.count, 0) == request.utf8.count)
    return await DetachedThread.run {
      var answer: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 4096)
      while case let count = recv(number, &chunk, chunk.count, 0), count > 0 { answer += chunk[..<count] }
      return String(decoding: answer, as: UTF8.self)
    }
  }
}
