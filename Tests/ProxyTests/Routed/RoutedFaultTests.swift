import Addressing
import Foundation
import JSON
import NodeMetrics
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Routed exchanges that do not go as their client hoped.
  @Suite(.serialized) struct RoutedFaultTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"

    /// Later requests would be answered alike, whatever becomes of the service.
    @Test func `without its listener a connection ends`() async throws {
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": []], listener: 9)
      let client = proxy.connect()
      let answer = try #require(client.asking(Self.get))
      #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.head.contains("\r\nconnection: close\r\n"))
      #expect(answer.body == "the proxy does not have the listener of this service\n")
      #expect(client.readToEnd() == "")
      await proxy.stop()
    }

    /// What the proxy is asked for may be what it was given as a backend: it is judged as any other.
    @Test func `a backend at the address that the client asked`() async throws {
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": []],
        judge: { _, _ in .denied(rule: 77, reason: 181, isEgress: true) })
      try proxy.setEndpoints(["default/one": [proxy.address]])
      #expect(proxy.ask(Self.get)?.head.hasPrefix("HTTP/1.1 403 ") == true)
      let record = try #require(await proxy.records.wait(1).first)
      #expect(record.rule == 77 && record.dropReason == 181 && record.isEgress)
      await proxy.stop()
    }

    @Test(arguments: ["HTTP/2 no\r\n\r\n", "HTTP/1.1 101 Unasked\r\n\r\n", "HTTP/1.1 200 OK\r\nA b\r\n\r\n"])
    func `a malformed answer is a reset to a retry policy`(_ first: String) async throws {
      let (server, count) = try TestServer.script { number, _, body in
        number == 0 ? first : response("200 OK", "again \(body)")
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["retry_policy": ["retry_on": "reset"]])], ["default/one": [server.address]])
      #expect(proxy.ask(Self.post)?.body == "again body")
      #expect(count() == 2)
      await proxy.stop()
    }

    /// The client could take the status line for the rest of the head before it.
    @Test func `no answer follows half of an interim one`() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.readMessage()
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: \(String(repeating: "x", count: 7000))\r\n\r\n"
        while socket.write(hints) {}
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["timeout": "0.5s"])], ["default/one": [server.address]])
      let client = proxy.connect()
      client.write(Self.get)
      usleep(1_500_000)
      #expect(!client.readToEnd().contains("504"))
      #expect(await proxy.records.wait(1).first?.isAborted == true)
      await proxy.stop()
    }

    /// The server closes while the request is on its way: without the policy that is a 503, as with Envoy.
    @Test func `a request that a parked connection's server has not read is sent again by its retry policy`()
      async throws
    {
      let server = try TestServer { socket, number in
        guard socket.readMessage() != nil else { return }
        socket.write(response("200 OK", "\(number)"))
        _ = socket.readMessage()
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["retry_policy": ["retry_on": "reset"]])], ["default/one": [server.address]])
      #expect(proxy.ask(Self.get)?.body == "0")
      for _ in 0..<200 where proxy.server.statistics.openConnections > 0 { usleep(5000) }
      #expect(proxy.ask(Self.post)?.body == "1")
      #expect(proxy.server.statistics.upstreamReuses == 1)
      await proxy.stop()
    }

    @Test func `answers of the proxy's own are not forwarded requests`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [
          ["match": ["path": "/tea"], "direct_response": ["status": 418]],
          ["match": ["path": "/old"], "redirect": ["path_redirect": "/new"]],
          ["match": ["path": "/one"], "route": ["cluster": "default/one"]],
          ["match": ["path": "/none"], "route": ["cluster": "default/none"]],
        ], ["default/one": [one.address], "default/none": []])
      let client = proxy.connect()
      for path in ["/tea", "/old", "/one", "/none", "/lost"] {
        #expect(client.asking("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
      }
      let requests = try #require(proxy.server.metrics.first { $0.name == "martlet_proxy_requests_total" })
      #expect(requests.samples.first { $0.labels["verdict"] == "forwarded" }?.value == 1)
      #expect(requests.samples.first { $0.labels["verdict"] == "answered" }?.value == 4)
      await proxy.stop()
    }

    @Test func `an endpoint that fails again and again is remembered once`() throws {
      let (gate, mailbox) = (ClusterGate(), try WorkerMailbox())
      let work = RoutingWork()
      let address = SocketAddress(IPAddress("10.0.0.1")!, port: 80)
      let c = ConnectionPointer.allocate(capacity: 1)
      c.initialize(to: Connection(client: -1, clientAddress: address, serverAddress: address, now: 0))
      defer { c.deallocate() }
      let connection = work.add(c)
      for _ in 0..<5 {
        let waiter = ClusterGate.Waiter(mailbox: mailbox, connection: 1, ticket: 1)
        #expect(gate.enter(.unlimited, waiter, wasWoken: false) == .entered)
        connection.take(RoutedEndpoint(.init(address: address, hostname: "")), gate)
        connection.noteRetry()
      }
      #expect(connection.tried == [address] && connection.retries == 5)
    }

    @Test(
      arguments: [
        ["name": "a\r\nb: c"], ["name": "a", "path": "/\u{0}"], ["name": "a", "path": "/x\ny"],
        ["name": "a", "attributes": [["name": "x\r", "value": "y"]]],
        ["name": "a", "attributes": [["name": "x", "value": "\u{7f}"]]],
      ] as [JSONValue])
    func `a cookie with a control character`(_ cookie: JSONValue) throws {
      let route = Routes.to("default/one", ["hash_policy": [["cookie": cookie]]])
      #expect(throws: RoutedProxy.TestFailure.self) { try RoutedProxy([route], ["default/one": []]) }
    }

    @Test func `durations end where the numbers do`() {
      #expect(Duration.seconds(Int64.max).nanoseconds == .max)
      #expect(Duration.seconds(20_000_000_000).nanoseconds == .max)
      #expect(Duration.seconds(-1).nanoseconds == 0)
      var deadlines = RoutedDeadlines()
      deadlines.idle = .max
      #expect(deadlines.next(activeAt: 1000) == nil)
      deadlines.route = 5
      #expect(deadlines.next(activeAt: 1000) == 5)
    }
  }
}
