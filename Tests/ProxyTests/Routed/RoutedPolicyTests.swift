import Addressing
import Foundation
import JSON
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Policy about the backend that a route leads to.
  @Suite(.serialized) struct RoutedPolicyTests {
    private static let routes: JSONValue = [
      [
        "match": ["prefix": "/api/"], "route": ["cluster": "default/one", "prefix_rewrite": "/ok/"],
        "request_headers_to_add": [["header": ["key": "x-token", "value": "wrong"]]],
      ],
      ["match": ["prefix": "/two"], "route": ["cluster": "default/two"]],
      Routes.to("default/one"),
    ]

    private static let configuration = ProxyConfiguration(
      generation: 1,
      ruleSets: [
        RuleSet(id: 1, rules: .http([HTTPRule(id: 11, path: "/ok.*")])),
        RuleSet(id: 2, rules: .http([HTTPRule(id: 21, path: "/.*/x")])),
        RuleSet(
          id: 3,
          rules: .http([
            HTTPRule(
              id: 31, path: "/.*",
              headerMatches: [HTTPHeaderMatch(name: "X-Token", value: "right", mismatch: .replace)])
          ])),
      ])

    private static func policy(_ rules: UInt32, egress: UInt32 = 0) -> BackendVerdict {
      .allowed(
        ConnectionPolicy(
          proxyRules: rules, egressProxyRules: egress, sourceIdentity: 1001, destinationIdentity: 1002))
    }

    private static func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n" }

    private static func status(_ client: TestSocket, _ path: String) -> String {
      String(client.asking(get(path))?.head.dropFirst(9).prefix(3) ?? "none")
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `a backend that the client must not reach`(_ host: String) async throws
    {
      let one = try TestServer.mirror("one", host)
      let two = try TestServer.mirror("two", host)
      let forbidden = two.address
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address], "default/two": [two.address]], host: host,
        judge: { client, server in
          #expect(client.address == IPAddress(host))
          return server == forbidden ? .denied(rule: 77, reason: 181, isEgress: true) : Self.policy(0)
        })
      let client = proxy.connect()
      #expect(Self.status(client, "/") == "200")
      let denied = try #require(client.asking(Self.get("/two")))
      #expect(denied.head.hasPrefix("HTTP/1.1 403 Forbidden\r\n") && denied.body == "Access denied\r\n")
      #expect(Self.status(client, "/") == "200")
      let record = try #require(await proxy.records.wait(3).dropFirst().first)
      #expect(record.isDenied && record.rule == 77 && record.dropReason == 181 && record.isEgress)
      #expect(record.server == forbidden && record.cluster == "default/two" && record.proxyRules == 0)
      #expect(record.sourceIdentity == 1001 && record.destinationIdentity == 1002)
      #expect(proxy.server.statistics.deniedRequests == 1)
      await proxy.stop()
    }

    /// A body is read to its end, so that the connection goes on.
    @Test func `a denied request with a body`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address]],
        judge: { _, _ in .denied(rule: 0, reason: 133, isEgress: false) })
      let client = proxy.connect()
      for _ in 0..<3 {
        let answer = client.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        #expect(answer?.body == "Access denied\r\n")
      }
      await proxy.stop()
    }

    @Test func `rules judge the request as it is sent`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address]], configuration: Self.configuration,
        judge: { _, _ in Self.policy(1) })
      let client = proxy.connect()
      // The client asks for /api, the backend gets /ok.
      #expect(Self.status(client, "/api/a") == "200")
      #expect(Self.status(client, "/other") == "403")
      #expect(Self.status(client, "/ok") == "200")
      let records = await proxy.records.wait(3)
      #expect(records.map(\.rule) == [11, 0, 11] && records.allSatisfy { $0.proxyRules == 1 })
      #expect(records.map(\.isDenied) == [false, true, false])
      #expect(records.first?.path == "/api/a")
      await proxy.stop()
    }

    @Test func `the rules of both ends`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address]], configuration: Self.configuration,
        judge: { _, _ in Self.policy(1, egress: 2) })
      let client = proxy.connect()
      #expect(Self.status(client, "/api/x") == "200")
      #expect(Self.status(client, "/api/y") == "403")
      #expect(Self.status(client, "/no/x") == "403")
      await proxy.stop()
    }

    @Test(arguments: [UInt32(0), 1]) func `what a rule wants done to a request that is not as it says`(
      _ rules: UInt32
    ) async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address]], configuration: Self.configuration,
        judge: { _, _ in rules == 0 ? Self.policy(3) : Self.policy(1, egress: 3) })
      let body = try #require(proxy.ask(Self.get("/api/x"))?.body)
      #expect(body.contains("GET /ok/x HTTP/1.1\r\n") && body.contains("X-Token: right\r\n") && !body.contains("wrong"))
      #expect(await proxy.records.wait(1).first?.mismatches == 1)
      await proxy.stop()
    }

    /// An answer of the route's as any other: browsers would not let a page read one without its CORS headers, say.
    @Test func `a refusal has the headers of the route`() async throws {
      let one = try TestServer.mirror("one")
      let routes: JSONValue = [
        [
          "match": ["prefix": "/"], "route": ["cluster": "default/one"],
          "response_headers_to_add": [["header": ["key": "x-route", "value": "%REQ(:path)%"]]],
        ]
      ]
      let proxy = try RoutedProxy(
        routes, ["default/one": [one.address]], configuration: Self.configuration, judge: { _, _ in Self.policy(1) })
      let connection = proxy.connect()
      for _ in 0..<2 {
        let response = try #require(connection.asking(Self.get("/anything")))
        #expect(response.head.hasPrefix("HTTP/1.1 403 Forbidden\r\n") && response.body == "Access denied\r\n")
        #expect(response.head.contains("\r\nx-route: /anything\r\n"))
      }
      #expect(await proxy.records.wait(2).allSatisfy { $0.isDenied && $0.failure.isEmpty })
      await proxy.stop()
    }

    @Test func `a rule set that nobody knows denies`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address]], judge: { _, _ in Self.policy(99) })
      #expect(Self.status(proxy.connect(), "/ok") == "403")
      await proxy.stop()
    }

    /// Addresses come to mean others without a new revision of the policy: pods come and go, names expire.
    @Test func `a verdict is about who has the addresses`() async throws {
      let one = try TestServer.mirror("one")
      let tenant = Mutex(UInt32(1))
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address]],
        judge: { _, _ in
          tenant.withLock { $0 } == 2 ? .denied(rule: 5, reason: 181, isEgress: false) : Self.policy(0)
        },
        parties: { _, _ in
          let tenant = tenant.withLock { $0 }
          if tenant == 4 { return nil }
          return BackendParties(
            client: BackendParties.Party(identity: 1000 + tenant, endpoint: tenant),
            server: BackendParties.Party(identity: 2000))
        })
      // Over one connection, whose verdict is at hand, and over one each, with those that the worker keeps.
      for isKept in [true, false] {
        let kept = proxy.connect()
        for (now, status) in [(1, "200"), (2, "403"), (1, "200"), (3, "200"), (4, "403"), (2, "403")] {
          tenant.withLock { $0 = UInt32(now) }
          #expect(Self.status(isKept ? kept : proxy.connect(), "/") == status, "tenant \(now)")
        }
      }
      let records = await proxy.records.wait(12)
      #expect(records.map(\.sourceIdentity).prefix(6) == [1001, 1002, 1001, 1003, 1001, 1002])
      #expect(records.prefix(6).map(\.destinationIdentity) == [2000, 2000, 2000, 2000, 0, 2000])
      await proxy.stop()
    }

    /// Who has an address is asked once, until the count of their changes says otherwise.
    @Test func `nobody is asked twice who has the addresses`() async throws {
      let one = try TestServer.mirror("one")
      let two = try TestServer.mirror("two")
      let tenant = Mutex((identity: UInt32(1), revision: UInt32(1), asked: 0))
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address], "default/two": [two.address]],
        judge: { _, _ in
          tenant.withLock { $0.identity } == 2 ? .denied(rule: 5, reason: 181, isEgress: false) : Self.policy(0)
        },
        parties: { _, _ in
          tenant.withLock {
            $0.asked += 1
            return BackendParties(
              client: BackendParties.Party(identity: $0.identity), server: BackendParties.Party(identity: 2000))
          }
        },
        addresses: { AddressRevision(agent: tenant.withLock { $0.revision }, names: 0, maps: 0) })
      let kept = proxy.connect()
      // The first question of each backend is asked before and after the verdict.
      for path in ["/", "/two", "/", "/", "/two"] { #expect(Self.status(kept, path) == "200") }
      #expect(Self.status(proxy.connect(), "/") == "200")
      #expect(tenant.withLock { $0.asked } == 4)
      tenant.withLock { $0.revision = 2 }
      for path in ["/", "/two", "/", "/two"] { #expect(Self.status(kept, path) == "200") }
      #expect(tenant.withLock { $0.asked } == 6)
      tenant.withLock { ($0.identity, $0.revision) = (2, 3) }
      for connection in [kept, proxy.connect()] { #expect(Self.status(connection, "/") == "403") }
      tenant.withLock { ($0.identity, $0.revision) = (1, 4) }
      for path in ["/", "/two"] { #expect(Self.status(kept, path) == "200") }
      #expect(await proxy.records.wait(15).map(\.sourceIdentity).suffix(4) == [2, 2, 1, 1])
      await proxy.stop()
    }

    /// What one backend's rules say is not what another's do, on one connection of the client.
    @Test func `each backend has its own rules`() async throws {
      let one = try TestServer.mirror("one")
      let two = try TestServer.mirror("two")
      let strict = two.address
      let proxy = try RoutedProxy(
        Self.routes, ["default/one": [one.address], "default/two": [two.address]],
        configuration: Self.configuration, judge: { _, server in Self.policy(server == strict ? 1 : 0) })
      let client = proxy.connect()
      for _ in 0..<5 {
        #expect(Self.status(client, "/anything") == "200")
        #expect(Self.status(client, "/two") == "403")
      }
      await proxy.stop()
    }
  }
}
