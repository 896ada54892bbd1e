import Addressing
import Foundation
import JSON
import Testing

@testable import Proxy
@testable import Routing

extension LoopbackTests {
  /// Filters on the way of real requests.
  @Suite(.serialized) struct RoutedFilterTests {
    static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    static func any(_ type: String, _ config: [String: JSONValue]) -> JSONValue {
      var config = config
      config["@type"] = .string("type.googleapis.com/envoy.extensions.filters.http.\(type)")
      return .object(config)
    }

    static func filters(_ filters: (String, [String: JSONValue])...) -> [String: JSONValue] {
      var all = filters.enumerated().map { index, filter -> JSONValue in
        ["name": .string("f\(index)"), "typed_config": any(filter.0, filter.1)]
      }
      all.append(["name": "router", "typed_config": any("router.v3.Router", [:])])
      return ["http_filters": .array(all)]
    }

    static func mutations(_ request: [(String, String)], _ response: [(String, String)]) -> (
      String, [String: JSONValue]
    ) {
      func list(_ headers: [(String, String)]) -> JSONValue {
        .array(headers.map { ["append": ["header": ["key": .string($0.0), "value": .string($0.1)]]] })
      }
      return (
        "header_mutation.v3.HeaderMutation",
        ["mutations": ["request_mutations": list(request), "response_mutations": list(response)]]
      )
    }

    @Test func `headers change on both ways, and in all answers`() async throws {
      let server = try TestServer.mirror("one")
      let refuse: JSONValue = [
        "match": ["prefix": "/"], "route": ["cluster": "default/one"],
        "response_headers_to_add": [["header": ["key": "x-route", "value": "r %REQ(x-in)%"]]],
      ]
      let proxy = try RoutedProxy(
        [
          ["match": ["path": "/direct"], "direct_response": ["status": 418]],
          ["match": ["path": "/none"], "route": ["cluster": "default/none"]],
          ["match": ["path": "/gone", "headers": [["name": "x-in"]]], "route": ["cluster": "default/one"]], refuse,
        ], ["default/one": [server.address], "default/none": []],
        manager: Self.filters(Self.mutations([("x-in", "%REQ(:path)%")], [("x-out", "%REQ(x-in)% %RESP(x-server)%")])))
      let client = proxy.connect()
      // The route is chosen before the header is there.
      for (path, status, out) in [
        ("/a", 200, "/a one"), ("/direct", 418, "/direct "), ("/none", 503, "/none "), ("/gone", 200, "/gone one"),
      ] {
        let answer = try #require(client.asking("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(answer.head.hasPrefix("HTTP/1.1 \(status) "), "\(path)")
        #expect(answer.head.contains("x-out: \(out)"), "\(path): \(answer.head)")
        if status == 200 {
          #expect(answer.body.contains("x-in: \(path)\r\n"))
          #expect(answer.head.contains("x-route: r \(path)"))
        }
      }
      await proxy.stop()
    }

    @Test func `an answer of a filter keeps the connection, and says why`() async throws {
      let server = try TestServer.mirror("one")
      let rules: JSONValue = [
        "action": "DENY",
        "policies": [
          "p": ["permissions": [["url_path": ["path": ["prefix": "/shut"]]]], "principals": [["any": true]]]
        ],
      ]
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]],
        manager: Self.filters(("rbac.v3.RBAC", ["rules": rules]), Self.mutations([], [("x-out", "1")])))
      let client = proxy.connect()
      let post = "POST /shut HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
      let refused = try #require(client.asking(post))
      #expect(refused.head.hasPrefix("HTTP/1.1 403 Forbidden\r\n") && refused.body == "RBAC: access denied")
      #expect(refused.head.contains("x-out: 1"))
      #expect(client.asking(Self.get)?.head.hasPrefix("HTTP/1.1 200 ") == true)
      let records = await proxy.records.wait(2)
      #expect(records.map(\.status) == [403, 200])
      let metrics = proxy.server.routes.metrics.first { $0.name == "martlet_filter_events_total" }
      #expect(
        metrics?.samples.map { "\($0.labels["filter"] ?? "") \($0.labels["event"] ?? "") \($0.value)" }
          == ["f0 allowed 1.0", "f0 denied 1.0"])
      await proxy.stop()
    }

    @Test func `a preflight request is answered`() async throws {
      let server = try TestServer.mirror("one")
      let policy = Self.any(
        "cors.v3.CorsPolicy",
        [
          "allow_origin_string_match": [["exact": "http://page"]], "allow_methods": "*", "expose_headers": "x-server",
        ])
      let route: JSONValue = [
        "match": ["prefix": "/"], "route": ["cluster": "default/one"], "typed_per_filter_config": ["f0": policy],
      ]
      let proxy = try RoutedProxy(
        [route], ["default/one": [server.address]], manager: Self.filters(("cors.v3.Cors", [:])))
      let client = proxy.connect()
      let preflight = try #require(
        client.asking(
          "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\nAccess-Control-Request-Method: PUT\r\n\r\n"))
      #expect(preflight.head.hasPrefix("HTTP/1.1 200 OK\r\n") && preflight.body.isEmpty)
      #expect(preflight.head.contains("access-control-allow-methods: PUT\r\n"))
      let answer = try #require(client.asking("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\r\n"))
      #expect(answer.head.contains("access-control-allow-origin: http://page\r\n") && answer.body.hasPrefix("one#"))
      let other = try #require(client.asking("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://other\r\n\r\n"))
      #expect(!other.head.contains("access-control"))
      await proxy.stop()
    }

    static let delay: [String: JSONValue] = [
      "delay": ["header_delay": [:], "percentage": ["numerator": 100]],
      "abort": ["header_abort": [:], "percentage": ["numerator": 100]],
    ]

    @Test func `a request waits where it is`() async throws {
      let server = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["idle_timeout": "0.1s"])], ["default/one": [server.address]],
        manager: Self.filters(
          Self.mutations([("x-in", "%REQ(x-in)%1")], []), ("fault.v3.HTTPFault", Self.delay),
          Self.mutations([("x-in", "2")], [])))
      let client = proxy.connect()
      let clock = ContinuousClock()
      for _ in 0..<2 {
        let start = clock.now
        // Two at once: the second waits for the first.
        client.write(
          "POST /a HTTP/1.1\r\nHost: a\r\nx-envoy-fault-delay-request: 300\r\nContent-Length: 4\r\n\r\nbody" + Self.get)
        let answer = try #require(client.readMessage())
        #expect(clock.now - start >= .milliseconds(290))
        #expect(answer.head.hasPrefix("HTTP/1.1 200 ") && answer.body.hasSuffix("body"))
        #expect(answer.body.contains("x-in: 1\r\nx-in: 2\r\n"), "\(answer.body)")
        #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 200 ") == true)
      }
      let start = clock.now
      let fields = "x-envoy-fault-delay-request: 100\r\nx-envoy-fault-abort-request: 418\r\n"
      let aborted = try #require(client.asking("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"))
      #expect(aborted.head.hasPrefix("HTTP/1.1 418 ") && aborted.body == "fault filter abort")
      #expect(clock.now - start >= .milliseconds(90))
      #expect(client.asking(Self.get)?.head.hasPrefix("HTTP/1.1 200 ") == true)
      await proxy.stop()
    }

    @Test func `a client that goes while its request waits is forgotten`() async throws {
      let server = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]],
        manager: Self.filters(("fault.v3.HTTPFault", Self.delay)))
      for resets in [true, false] {
        let client = proxy.connect()
        client.write("GET / HTTP/1.1\r\nHost: a\r\nx-envoy-fault-delay-request: 200\r\n\r\n")
        try await Task.sleep(for: .milliseconds(50))
        if resets { client.reset() }
      }
      try await Task.sleep(for: .milliseconds(400))
      #expect(proxy.ask(Self.get)?.head.hasPrefix("HTTP/1.1 200 ") == true)
      await proxy.stop()
    }

    @Test func `a large request is refused before it is sent, or when it has become too large`() async throws {
      let server = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]],
        manager: Self.filters(("buffer.v3.Buffer", ["max_request_bytes": 10])))
      func body(_ count: Int) -> String { String(repeating: "b", count: count) }
      let client = proxy.connect()
      #expect(
        client.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n\(body(10))")?.head
          .hasPrefix("HTTP/1.1 200 ") == true)
      #expect(
        client.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n\(body(11))")?.head
          .hasPrefix("HTTP/1.1 413 ") == true)
      let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      #expect(
        client.asking("\(chunked)5\r\n\(body(5))\r\n5\r\n\(body(5))\r\n0\r\n\r\n")?.head.hasPrefix("HTTP/1.1 200 ")
          == true)
      #expect(
        client.asking("\(chunked)5\r\n\(body(5))\r\n6\r\n\(body(6))\r\n0\r\n\r\n")?.head.hasPrefix("HTTP/1.1 413 ")
          == true)
      await proxy.stop()
    }

    @Test func `a request that is sent again has passed its filters once`() async throws {
      let (server, count) = try TestServer.script { number, head, _ in
        response(number == 0 ? "503 No" : "200 OK", String(head.split(separator: "x-in: ").count - 1))
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["retry_policy": ["retry_on": "5xx"]])], ["default/one": [server.address]],
        manager: Self.filters(
          Self.mutations([("x-in", "1")], [("x-out", "1")]),
          (
            "local_ratelimit.v3.LocalRateLimit",
            [
              "stat_prefix": "x", "token_bucket": ["max_tokens": 1, "fill_interval": "3600s"],
              "filter_enabled": ["default_value": ["numerator": 100]],
              "filter_enforced": ["default_value": ["numerator": 100]],
            ]
          )))
      let client = proxy.connect()
      let answer = try #require(client.asking(Self.get))
      #expect(answer.head.hasPrefix("HTTP/1.1 200 ") && answer.body == "1" && count() == 2)
      let limited = try #require(client.asking(Self.get))
      #expect(limited.head.hasPrefix("HTTP/1.1 429 ") && limited.body == "local_rate_limited")
      #expect(limited.head.split(separator: "x-out").count == 2)
      await proxy.stop()
    }
  }
}
