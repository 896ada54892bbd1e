import Addressing
import Glibc
import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Requests go to the endpoints that serve.
  @Suite(.serialized) struct RoutedHealthTests {
    static let hosts = ["127.0.0.1", "::1"]

    /// A server whose answers change while it runs: a status, or 0 to close the connection instead.
    private final class Backend: Sendable {
      let status = Atomic<Int>(200)
      let checkStatus = Atomic<Int>(200)
      let requests = Atomic<Int>(0)
      let checks = Atomic<Int>(0)
      let lastCheck = Mutex("")
      private let server = Mutex<TestServer?>(nil)
      let address: SocketAddress

      init(_ host: String) throws {
        let box = Box()
        let made = try TestServer(host) { socket, _ in
          while let message = socket.readMessage(), let backend = box.backend {
            let isCheck = message.head.contains("user-agent: Envoy/HC")
            let status =
              isCheck ? backend.checkStatus.load(ordering: .relaxed) : backend.status.load(ordering: .relaxed)
            if isCheck {
              backend.checks.add(1, ordering: .relaxed)
              backend.lastCheck.withLock { $0 = message.head }
            } else {
              backend.requests.add(1, ordering: .relaxed)
            }
            if status == 0 { return }
            socket.write(response("\(status) Word"))
          }
        }
        address = made.address
        server.withLock { $0 = made }
        box.set(self)
      }

      private final class Box: Sendable {
        private struct Weak { weak var backend: Backend? }
        private let content = Mutex(Weak())
        var backend: Backend? { content.withLock { $0.backend } }
        func set(_ backend: Backend) { content.withLock { $0.backend = backend } }
      }
    }

    private static let quick: JSONValue = [
      "consecutive_5xx": 3, "interval": "0.05s", "base_ejection_time": "0.3s", "max_ejection_percent": 50,
    ]

    private func eventually(_ condition: () -> Bool) async -> Bool {
      for _ in 0..<2000 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
      }
      return condition()
    }

    @Test(arguments: hosts) func `who fails too often is taken out, and comes back`(_ host: String) async throws {
      let good = try Backend(host)
      let bad = try Backend(host)
      let health = try HealthProxy(
        [Routes.endpoint(good.address), Routes.endpoint(bad.address)], ["outlier_detection": Self.quick], host: host)
      bad.status.store(500, ordering: .relaxed)
      var failures = 0
      for _ in 0..<6 where health.status() == 500 { failures += 1 }
      #expect(failures == 3)
      #expect(await eventually { health.health(bad.address) == .unhealthy })
      let before = bad.requests.load(ordering: .relaxed)
      for _ in 0..<10 { #expect(health.status() == 200) }
      #expect(bad.requests.load(ordering: .relaxed) == before)
      #expect(health.metric("martlet_cluster_ejections_total", ["reason": "consecutive_5xx"]) == 1)
      #expect(health.metric("martlet_cluster_endpoints_healthy") == 1)
      #expect(health.metric("martlet_cluster_endpoints") == 2)
      let line = "endpoint \(bad.address) is ejected until"
      #expect(health.lines.all.contains { $0.hasPrefix("warning") && $0.contains(line) && $0.contains("cluster c") })
      bad.status.store(200, ordering: .relaxed)
      #expect(await eventually { health.health(bad.address) == .healthy })
      #expect(await eventually { health.status() == 200 && bad.requests.load(ordering: .relaxed) > before })
      await health.stop()
    }

    @Test(arguments: hosts) func `so is who refuses connections, or closes them`(_ host: String) async throws {
      let good = try Backend(host)
      for isListening in [true, false] {
        let closing = try Backend(host)
        closing.status.store(0, ordering: .relaxed)
        let dead = try DeadEnd(host)
        let bad = isListening ? closing.address : dead.address
        let health = try HealthProxy(
          [Routes.endpoint(good.address), Routes.endpoint(bad)],
          [
            "outlier_detection": [
              "split_external_local_origin_errors": .bool(!isListening), "consecutive_local_origin_failure": 3,
              "consecutive_5xx": 3, "max_ejection_percent": 50, "base_ejection_time": "60s",
            ]
          ], host: host)
        var failures = 0
        for _ in 0..<20 where health.status() == 503 { failures += 1 }
        #expect(failures >= 3)
        #expect(await eventually { health.health(bad) == .unhealthy })
        for _ in 0..<10 { #expect(health.status() == 200) }
        let reason = isListening ? "consecutive_5xx" : "consecutive_local_origin_failure"
        #expect(health.metric("martlet_cluster_ejections_total", ["reason": reason]) == 1)
        await health.stop()
      }
    }

    /// All of them fail: rather one that may answer than none.
    @Test func `in panic all are asked`() async throws {
      let backends = try (0..<2).map { _ in try Backend("127.0.0.1") }
      for threshold in [50, 0] as [Int64] {
        for backend in backends { backend.status.store(500, ordering: .relaxed) }
        let health = try HealthProxy(
          backends.map { Routes.endpoint($0.address) },
          [
            "outlier_detection": ["consecutive_5xx": 2, "max_ejection_percent": 100, "base_ejection_time": "60s"],
            "common_lb_config": ["healthy_panic_threshold": ["value": .integer(threshold)]],
          ])
        #expect(
          await eventually {
            _ = health.status()
            return backends.allSatisfy { health.health($0.address) == .unhealthy }
          })
        for backend in backends { backend.status.store(200, ordering: .relaxed) }
        #expect(health.cluster?.isPanicking == (threshold > 0))
        for _ in 0..<6 { #expect(health.status() == (threshold > 0 ? 200 : 503)) }
        await health.stop()
      }
    }

    @Test func `what the configuration says of an endpoint`() async throws {
      let serving = try Backend("127.0.0.1")
      let others = try ["UNHEALTHY", "DRAINING", "TIMEOUT"].map { ($0, try Backend("127.0.0.1")) }
      let health = try HealthProxy(
        [Routes.endpoint(serving.address, status: "HEALTHY")]
          + others.map { Routes.endpoint($0.1.address, status: $0.0) },
        ["common_lb_config": ["healthy_panic_threshold": ["value": 10]]])
      for _ in 0..<8 { #expect(health.status() == 200) }
      #expect(serving.requests.load(ordering: .relaxed) == 8)
      let standings = try #require(health.cluster?.standings())
      #expect(Set(standings.flatMap(\.reasons)) == Set(others.map { "\($0.0) by its configuration" }))
      await health.stop()
    }

    private func check(_ more: [String: JSONValue] = [:]) -> JSONValue { .object(HealthDocuments.checkFields(more)) }

    @Test(arguments: hosts) func `who does not pass its checks gets no requests`(_ host: String) async throws {
      let good = try Backend(host)
      let bad = try Backend(host)
      bad.checkStatus.store(404, ordering: .relaxed)
      let health = try HealthProxy(
        [Routes.endpoint(good.address), Routes.endpoint(bad.address)],
        ["health_checks": [check(["http_health_check": ["path": "/health", "host": "me"]])]], host: host)
      // Before there is an answer from any, panic asks all of them.
      #expect(await eventually { health.health(good.address) == .healthy && bad.checks.load(ordering: .relaxed) > 1 })
      #expect(good.lastCheck.withLock { $0 }.hasPrefix("GET /health HTTP/1.1\r\nhost: me\r\n"))
      let before = bad.requests.load(ordering: .relaxed)
      for _ in 0..<10 { #expect(health.status() == 200) }
      #expect(bad.requests.load(ordering: .relaxed) == before)
      bad.checkStatus.store(200, ordering: .relaxed)
      #expect(await eventually { health.health(bad.address) == .healthy })
      // What is not expected is enough, once.
      bad.checkStatus.store(500, ordering: .relaxed)
      #expect(await eventually { health.health(bad.address) == .unhealthy })
      let line = "endpoint \(bad.address) fails its health checks: status 500"
      #expect(health.lines.all.contains { $0.hasPrefix("warning") && $0.contains(line) })
      #expect(health.metric("martlet_cluster_health_checks_total", ["result": "passed"]) > 1)
      #expect(health.metric("martlet_cluster_health_checks_total", ["result": "failed"]) > 1)
      await health.stop()
    }

    @Test(arguments: hosts) func `a check by TCP, at another port`(_ host: String) async throws {
      let good = try Backend(host)
      let bad = try Backend(host)
      let open = try TestServer(host) { _, _ in }
      let dead = try DeadEnd(host)
      let health = try HealthProxy(
        [
          Routes.endpoint(good.address, check: ["port_value": .integer(Int64(open.address.port))]),
          Routes.endpoint(bad.address, check: ["port_value": .integer(Int64(dead.address.port))]),
        ], ["health_checks": [check(["tcp_health_check": .object([:])])]], host: host)
      #expect(await eventually { health.health(good.address) == .healthy })
      #expect(await eventually { health.metric("martlet_cluster_health_checks_total", ["result": "failed"]) > 1 })
      #expect(health.health(bad.address) == .unhealthy)
      #expect(health.lines.all.contains { $0.contains("\(bad.address) fails its health checks: connection refused") })
      await health.stop()
    }

    @Test func `who does not answer in time fails, and who is not to be asked serves`() async throws {
      let silent = try TestServer("127.0.0.1") { socket, _ in while socket.readMessage() != nil {} }
      let unasked = try Backend("127.0.0.1")
      let health = try HealthProxy(
        [
          Routes.endpoint(silent.address),
          Routes.endpoint(unasked.address, check: ["disable_active_health_check": true]),
        ], ["health_checks": [check(["timeout": "0.1s"])]])
      #expect(health.health(unasked.address) == .healthy)
      #expect(
        await eventually {
          health.lines.all.contains { $0.contains("\(silent.address) fails its health checks: no answer") }
        })
      #expect(health.health(silent.address) == .unhealthy)
      #expect(unasked.checks.load(ordering: .relaxed) == 0)
      await health.stop()
    }

    @Test func `a passed check ends an ejection`() async throws {
      let good = try Backend("127.0.0.1")
      let bad = try Backend("127.0.0.1")
      let health = try HealthProxy(
        [Routes.endpoint(good.address), Routes.endpoint(bad.address)],
        [
          "outlier_detection": ["consecutive_5xx": 2, "max_ejection_percent": 50, "base_ejection_time": "600s"],
          "health_checks": [check(["interval": "0.3s", "no_traffic_interval": "0.05s"])],
        ])
      #expect(await eventually { health.health(good.address) == .healthy && health.health(bad.address) == .healthy })
      bad.status.store(503, ordering: .relaxed)
      #expect(
        await eventually {
          _ = health.status()
          return health.metric("martlet_cluster_ejections_total") > 0
        })
      bad.status.store(200, ordering: .relaxed)
      #expect(await eventually { health.health(bad.address) == .healthy })
      await health.stop()
    }

    /// Half of the endpoints times 1.4 is not enough for all requests; the degraded one gets the rest.
    @Test func `who is degraded gets what the others can not take`() async throws {
      let healthy = try Backend("127.0.0.1")
      let degraded = try Backend("127.0.0.1")
      let health = try HealthProxy(
        [Routes.endpoint(healthy.address), Routes.endpoint(degraded.address, status: "DEGRADED")], [:])
      for _ in 0..<200 { #expect(health.status() == 200) }
      // 30 % of 200; the standard deviation is 6.5.
      #expect(abs(degraded.requests.load(ordering: .relaxed) - 60) < 33)
      #expect(health.health(degraded.address) == .degraded && health.cluster?.isPanicking == false)
      await health.stop()
    }

    @Test func `checks go on where the cluster is the same, and end with it`() async throws {
      let backend = try Backend("127.0.0.1")
      let other = try Backend("127.0.0.1")
      let health = try HealthProxy([Routes.endpoint(backend.address)], ["health_checks": [check()]])
      #expect(await eventually { health.health(backend.address) == .healthy })
      let endpoint = health.cluster?.endpoints.first
      try health.proxy.setRoutes([Routes.to("c", ["timeout": "3s"])])
      #expect(health.cluster?.endpoints.first === endpoint)
      #expect(health.health(backend.address) == .healthy)
      try health.proxy.setRoutes([Routes.to("c")], resources: [Routes.cluster("c", [Routes.endpoint(other.address)])])
      // The one that is on its way may still end.
      try await Task.sleep(for: .milliseconds(50))
      let count = backend.checks.load(ordering: .relaxed)
      try await Task.sleep(for: .milliseconds(300))
      #expect(backend.checks.load(ordering: .relaxed) <= count + 1)
      #expect(health.status() == 200 && other.checks.load(ordering: .relaxed) == 0)
      await health.stop()
    }

    @Test func `the next priority serves for what the first can not`() async throws {
      let first = try Backend("127.0.0.1")
      let second = try Backend("127.0.0.1")
      let health = try HealthProxy([], [:])
      let assignment: JSONValue = [
        "cluster_name": "c",
        "endpoints": [
          ["lb_endpoints": [Routes.endpoint(first.address)]],
          ["priority": 1, "lb_endpoints": [Routes.endpoint(second.address)]],
        ],
      ]
      try health.proxy.setRoutes(
        [Routes.to("c")],
        resources: [
          [
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "c", "type": "STATIC",
            "load_assignment": assignment,
            "outlier_detection": ["consecutive_5xx": 2, "max_ejection_percent": 50, "base_ejection_time": "60s"],
          ]
        ])
      for _ in 0..<4 { #expect(health.status() == 200) }
      #expect(second.requests.load(ordering: .relaxed) == 0)
      first.status.store(500, ordering: .relaxed)
      _ = (health.status(), health.status())
      #expect(await eventually { health.health(first.address) == .unhealthy })
      for _ in 0..<4 { #expect(health.status() == 200) }
      #expect(second.requests.load(ordering: .relaxed) == 4)
      await health.stop()
    }
  }
}
