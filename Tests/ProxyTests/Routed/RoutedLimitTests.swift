import Addressing
import Foundation
import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Limits of clusters on the way of real requests.
  @Suite(.serialized) struct RoutedLimitTests {
    static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    static func proxy(
      _ server: TestServer, _ limits: [String: JSONValue], _ action: [String: JSONValue] = [:], workers: Int = 1
    ) throws -> RoutedProxy {
      let cluster = Routes.cluster(
        "limited", [Routes.endpoint(server.address)], ["circuit_breakers": ["thresholds": [.object(limits)]]])
      return try RoutedProxy(
        [Routes.to("limited", action)], [:], resources: [cluster], change: { $0.workers = workers })
    }

    /// Answers when its time is over; knows how many it served at once.
    static func slow(_ time: Duration, _ most: Most) throws -> TestServer {
      let active = Most()
      return try TestServer("127.0.0.1") { socket, _ in
        while let message = socket.readMessage() {
          most.value.max(active.value.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
          usleep(UInt32(time / .microseconds(1)))
          active.value.subtract(1, ordering: .relaxed)
          socket.write(response("200 OK", message.body))
        }
      }
    }

    final class Most: Sendable {
      let value = Atomic(0)
    }

    private static func metrics(_ proxy: RoutedProxy) throws -> ClusterMetrics {
      try #require(proxy.server.routes.current.listeners[7]?.cluster("limited")).metrics
    }

    @Test(arguments: [1, 2]) func `requests wait for a connection, or are refused`(_ workers: Int) async throws {
      let most = Most()
      let server = try Self.slow(.milliseconds(200), most)
      let proxy = try Self.proxy(
        server, ["max_connections": 1, "max_pending_requests": 2], workers: workers)
      let clients = (0..<4).map { _ in proxy.connect() }
      for client in clients.prefix(3) {
        client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(try Self.metrics(proxy).gates.waiting == 2)
      let refused = try #require(clients[3].asking(Self.get))
      #expect(refused.head.hasPrefix("HTTP/1.1 503 ") && refused.body.contains("as many requests as it may"))
      for client in clients.prefix(3) {
        let answer = try #require(client.readMessage())
        #expect(answer.head.hasPrefix("HTTP/1.1 200 ") && answer.body == "body")
      }
      #expect(most.value.load(ordering: .relaxed) == 1)
      #expect(try Self.metrics(proxy).overflows == 1 && Self.metrics(proxy).gates.waiting == 0)
      #expect(clients[3].asking(Self.get)?.head.hasPrefix("HTTP/1.1 200 ") == true)
      await proxy.stop()
    }

    @Test func `who goes while waiting makes room, and time runs while waiting`() async throws {
      let most = Most()
      let server = try Self.slow(.milliseconds(300), most)
      let proxy = try Self.proxy(server, ["max_connections": 1, "max_pending_requests": 1], ["timeout": "0.4s"])
      let first = proxy.connect()
      first.write(Self.get)
      try await Task.sleep(for: .milliseconds(20))
      do {
        let gone = proxy.connect()
        gone.write(Self.get)
        try await Task.sleep(for: .milliseconds(20))
        gone.reset()
      }
      try await Task.sleep(for: .milliseconds(20))
      let second = proxy.connect()
      second.write(Self.get)
      #expect(first.readMessage()?.head.hasPrefix("HTTP/1.1 200 ") == true)
      // It was sent, but began to count when it came.
      let late = second.readMessage()
      #expect(late?.head.hasPrefix("HTTP/1.1 504 ") == true, "\(late?.head ?? "nothing")")
      try await Task.sleep(for: .milliseconds(300))
      #expect(proxy.ask(Self.get)?.head.hasPrefix("HTTP/1.1 200 ") == true)
      await proxy.stop()
    }

    @Test func `many clients share few connections`() async throws {
      let most = Most()
      let server = try Self.slow(.milliseconds(1), most)
      let proxy = try Self.proxy(server, ["max_connections": 3], workers: 2)
      let good = Most()
      DispatchQueue.concurrentPerform(iterations: 16) { _ in
        let client = proxy.connect()
        for _ in 0..<50 where client.asking(Self.get)?.head.hasPrefix("HTTP/1.1 200 ") == true {
          good.value.add(1, ordering: .relaxed)
        }
      }
      #expect(good.value.load(ordering: .relaxed) == 800)
      #expect(most.value.load(ordering: .relaxed) <= 3)
      await proxy.stop()
    }

    @Test func `retries have a limit of their own`() async throws {
      let (server, count) = try TestServer.script { _, _, _ in response("503 No") }
      let proxy = try Self.proxy(server, ["max_retries": 0], ["retry_policy": ["retry_on": "5xx", "num_retries": 5]])
      #expect(proxy.ask(Self.get)?.head.hasPrefix("HTTP/1.1 503 ") == true)
      #expect(try count() == 1 && Self.metrics(proxy).retryOverflows == 1)
      await proxy.stop()
    }
  }
}
