import Addressing
import Foundation
import JSON
import Synchronization
import Testing
import Threads

@testable import Proxy

extension LoopbackTests {
  /// Routes and endpoints that change while requests are under way.
  @Suite(.serialized) struct RoutedChangeTests {
    private static func split(_ weight: Int64) -> JSONValue {
      [
        [
          "match": ["prefix": "/"],
          "route": [
            "weighted_clusters": [
              "clusters": [
                ["name": "default/one", "weight": .integer(100 - weight)],
                ["name": "default/two", "weight": .integer(weight)],
              ]
            ]
          ],
        ]
      ]
    }

    /// Clients that ask again and again; how many answers were not 200.
    private final class Load: Sendable {
      private let isOver = Atomic(false)
      private let failures = Atomic(0)
      private let requests = Atomic(0)
      private let running = Atomic(0)

      func start(_ proxy: RoutedProxy, clients: Int) {
        for number in 0..<clients {
          running.add(1, ordering: .relaxed)
          DetachedThread.start {
            var client = proxy.connect()
            while !self.isOver.load(ordering: .relaxed) {
              let request =
                number % 2 == 0
                ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
              let isOK = client.asking(request)?.head.hasPrefix("HTTP/1.1 200 ") == true
              self.requests.add(1, ordering: .relaxed)
              if !isOK {
                self.failures.add(1, ordering: .relaxed)
                client = proxy.connect()
              }
            }
            self.running.subtract(1, ordering: .relaxed)
          }
        }
      }

      func stop() async -> (requests: Int, failures: Int) {
        isOver.store(true, ordering: .relaxed)
        for _ in 0..<2000 where running.load(ordering: .relaxed) > 0 { try? await Task.sleep(for: .milliseconds(5)) }
        return (requests.load(ordering: .relaxed), failures.load(ordering: .relaxed))
      }
    }

    @Test func `a canary moves under load and nobody notices`() async throws {
      let one = try TestServer.mirror("one")
      let two = try TestServer.mirror("two")
      let proxy = try RoutedProxy(
        Self.split(0), ["default/one": [one.address], "default/two": [two.address]],
        change: { $0.workers = 2 })
      let load = Load()
      load.start(proxy, clients: 8)
      for weight in stride(from: Int64(0), through: 100, by: 5) {
        try proxy.setRoutes(Self.split(weight))
        try await Task.sleep(for: .milliseconds(20))
      }
      let (requests, failures) = await load.stop()
      #expect(failures == 0 && requests > 100)
      #expect(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.body.hasPrefix("two") == true)
      await proxy.stop()
    }

    @Test func `endpoints come and go under load`() async throws {
      let servers = try (0..<3).map { try TestServer.mirror("\($0)") }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": servers.map(\.address)])
      let load = Load()
      load.start(proxy, clients: 6)
      for round in 0..<30 {
        try proxy.setEndpoints(["default/one": [servers[round % 3].address, servers[(round + 1) % 3].address]])
        try await Task.sleep(for: .milliseconds(10))
      }
      let (requests, failures) = await load.stop()
      #expect(failures == 0 && requests > 100)
      await proxy.stop()
    }

    /// The request that it has goes on; the next ones go elsewhere.
    @Test func `an endpoint disappears with a request under way`() async throws {
      let (slow, _) = try TestServer.script { _, _, _ in
        usleep(300_000)
        return response("200 OK", "slow")
      }
      let two = try TestServer.mirror("two")
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [slow.address]])
      let client = proxy.connect()
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      usleep(50_000)
      try proxy.setEndpoints(["default/one": [two.address]])
      #expect(client.readMessage()?.body == "slow")
      #expect(client.asking("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.body.hasPrefix("two") == true)
      try proxy.setEndpoints(["default/one": []])
      #expect(client.asking("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 503 ") == true)
      try proxy.setEndpoints([:])
      #expect(client.asking("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 503 ") == true)
      await proxy.stop()
    }

    /// An attempt that waits asks for the endpoints of then.
    @Test func `a retry goes to an endpoint that has come meanwhile`() async throws {
      let dead = try DeadEnd()
      let two = try TestServer.mirror("two")
      let policy: JSONValue = [
        "retry_on": "connect-failure", "num_retries": 50, "retry_back_off": ["base_interval": "0.02s"],
      ]
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["retry_policy": policy])], ["default/one": [dead.address]])
      let client = proxy.connect()
      client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
      usleep(50_000)
      try proxy.setEndpoints(["default/one": [two.address]])
      #expect(client.readMessage()?.body.hasPrefix("two") == true)
      await proxy.stop()
    }

    /// Clients that leave at any point leave nothing behind.
    @Test func `clients that vanish`() async throws {
      let server = try TestServer { socket, _ in _ = socket.readToEnd() }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["retry_policy": ["retry_on": "5xx"]])], ["default/one": [server.address]])
      let beginnings = [
        "", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
      ]
      for beginning in beginnings {
        for resets in [false, true] {
          let client = proxy.connect()
          client.write(beginning)
          try await Task.sleep(for: .milliseconds(20))
          if resets { client.reset() }
        }
      }
      for _ in 0..<500 where proxy.server.statistics.openConnections > 0 {
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(proxy.server.statistics.openConnections == 0)
      let cluster = try #require(proxy.server.routes.current.listeners[7]?.cluster("default/one"))
      #expect(cluster.endpoints.map(\.active) == [0])
      await proxy.stop()
    }
  }
}
