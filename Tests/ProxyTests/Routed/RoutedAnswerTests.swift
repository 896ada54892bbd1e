import Addressing
import Foundation
import JSON
import Testing

@testable import Proxy

extension LoopbackTests {
  /// What the proxy answers itself.
  @Suite(.serialized) struct RoutedAnswerTests {
    struct Case: Sendable, CustomTestStringConvertible {
      var request: String
      var status: Int
      var contains: [String] = []
      var body = ""
      var route = ""
      var cluster = ""

      var testDescription: String { String(request.prefix { $0 != "\r\n" }) }
    }

    static let routes: JSONValue = [
      "virtual_hosts": [
        [
          "name": "plain", "domains": ["a", "127.0.0.1", "[::1]"],
          "response_headers_to_add": [["header": ["key": "x-host", "value": "plain"]]],
          "routes": [
            [
              "match": ["path": "/direct"], "direct_response": ["status": 418, "body": ["inline_string": "tea"]],
              "response_headers_to_add": [["header": ["key": "x-q", "value": "%REQ(x-q)%"]]],
            ],
            [
              "match": ["path": "/json"], "direct_response": ["status": 200, "body": ["inline_string": "{}"]],
              "response_headers_to_add": [["header": ["key": "content-type", "value": "application/json"]]],
            ],
            ["match": ["path": "/nothing"], "direct_response": ["status": 204]],
            [
              "name": "moved", "match": ["prefix": "/old"],
              "redirect": ["prefix_rewrite": "/new", "https_redirect": true, "response_code": "PERMANENT_REDIRECT"],
            ],
            ["match": ["path": "/missing"], "route": ["cluster_header": "x-cluster"]],
            [
              "match": ["path": "/absent"],
              "route": ["cluster_header": "x-cluster", "cluster_not_found_response_code": "NOT_FOUND"],
            ],
            ["match": ["path": "/empty"], "route": ["cluster": "default/none"]],
          ],
        ],
        ["name": "tls", "domains": ["tls"], "require_tls": "ALL", "routes": [Routes.to("default/none")]],
      ]
    ]

    static let cases: [Case] = [
      Case(
        request: "GET /direct HTTP/1.1\r\nHost: a\r\nX-Q: 7\r\n\r\n", status: 418,
        contains: ["x-q: 7", "x-host: plain", "content-length: 3", "content-type: text/plain"], body: "tea",
        route: "plain[0]"),
      Case(
        request: "GET /json HTTP/1.1\r\nHost: a\r\n\r\n", status: 200, contains: ["content-type: application/json"],
        body: "{}", route: "plain[1]"),
      Case(request: "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", status: 204, route: "plain[2]"),
      Case(
        request: "GET /old/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n", status: 308,
        contains: ["location: https://a/new/x?y=1", "content-length: 0"], route: "moved"),
      Case(
        request: "GET /missing HTTP/1.1\r\nHost: a\r\nX-Cluster: default/other\r\n\r\n", status: 503,
        contains: ["x-host: plain"], body: "the route's cluster is not there\n", route: "plain[4]",
        cluster: "default/other"),
      Case(
        request: "GET /absent HTTP/1.1\r\nHost: a\r\n\r\n", status: 404, body: "the route's cluster is not there\n",
        route: "plain[5]"),
      Case(
        request: "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", status: 503, contains: ["x-host: plain"],
        body: "the route's cluster has no endpoint\n", route: "plain[6]", cluster: "default/none"),
      Case(
        request: "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n", status: 404, body: "no route is for the request\n"),
      Case(
        request: "GET / HTTP/1.1\r\nHost: b\r\n\r\n", status: 404, contains: ["content-type: text/plain"],
        body: "no route is for the request\n"),
      Case(
        request: "GET /x?y HTTP/1.1\r\nHost: tls\r\n\r\n", status: 301, contains: ["location: https://tls/x?y"]),
      Case(
        request: "POST /direct HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", status: 418, body: "tea",
        route: "plain[0]"),
      Case(
        request: "POST /direct HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        status: 418, body: "tea", route: "plain[0]"),
    ]

    @Test(arguments: ["127.0.0.1", "::1"]) func `answers of the proxy's own`(_ host: String) async throws {
      let proxy = try RoutedProxy(Self.routes, ["default/none": []], host: host)
      let client = proxy.connect()
      for (number, example) in Self.cases.enumerated() {
        // All over one connection, which none of them ends.
        let answer = try #require(client.asking(example.request), "\(example.testDescription)")
        #expect(answer.head.hasPrefix("HTTP/1.1 \(example.status) "), "\(example.testDescription): \(answer.head)")
        for line in example.contains { #expect(answer.head.contains("\r\n\(line)\r\n"), "\(line) in \(answer.head)") }
        #expect(answer.body == example.body)
        let record = try #require(await proxy.records.wait(number + 1).last)
        #expect(record.route == example.route && record.cluster == example.cluster, "\(record)")
        #expect(record.status == UInt16(example.status) && record.server == proxy.address)
      }
      await proxy.stop()
    }

    @Test func `HEAD has the length and no body`() async throws {
      let proxy = try RoutedProxy(Self.routes, [:])
      let client = proxy.connect()
      client.write("HEAD /direct HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let answer = client.readToEnd()
      #expect(answer.contains("\r\ncontent-length: 3\r\n") && answer.contains("\r\nconnection: close\r\n"))
      #expect(answer.hasSuffix("\r\n\r\n"))
      await proxy.stop()
    }

    /// Many times the size of a buffer, to a client that takes its time.
    @Test func `a large answer`() async throws {
      let body = String((0..<300_000).map { Character(Unicode.Scalar(UInt8(97 + $0 % 26))) })
      let proxy = try RoutedProxy(
        [
          "max_direct_response_body_size_bytes": 1_000_000,
          "virtual_hosts": [
            [
              "name": "all", "domains": ["*"],
              "routes": [
                [
                  "match": ["prefix": "/"],
                  "direct_response": ["status": 200, "body": ["inline_string": .string(body)]],
                ]
              ],
            ]
          ],
        ], [:])
      let client = proxy.connect()
      for _ in 0..<20 { client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
      usleep(100_000)
      for _ in 0..<20 { #expect(client.readMessage()?.body == body) }
      await proxy.stop()
    }

    @Test func `a listener that is not there`() async throws {
      let proxy = try RoutedProxy(Self.routes, [:], listener: 8)
      #expect(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 503 ") == true)
      await proxy.stop()
    }

    @Test(arguments: [
      ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
      ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
      ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ])
    func `malformed requests`(_ request: String, _ status: Int) async throws {
      let proxy = try RoutedProxy(Self.routes, [:])
      let client = proxy.connect()
      client.write(request)
      #expect(client.readToEnd().hasPrefix("HTTP/1.1 \(status) "))
      await proxy.stop()
    }

    private static let webSocket =
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

    @Test func `an upgrade that the listener does not allow`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [one.address]])
      for request in [
        Self.webSocket, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
      ] {
        let client = proxy.connect()
        client.write(request)
        let answer = client.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 403 Forbidden\r\n") && answer.contains("\r\nconnection: close\r\n"))
        #expect(answer.hasSuffix("\r\n\r\nthe listener does not allow this upgrade\n"))
      }
      await proxy.stop()
    }

    @Test func `an upgrade that it allows`() async throws {
      let server = try TestServer { socket, _ in
        guard let head = socket.read(through: "\r\n\r\n"), head.contains("x-added: 1") else { return }
        socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while let word = socket.read(count: 4) { socket.write(word) }
      }
      let proxy = try RoutedProxy(
        [
          [
            "match": ["prefix": "/"], "route": ["cluster": "default/one", "timeout": "0.1s"],
            "request_headers_to_add": [["header": ["key": "x-added", "value": "1"]]],
            "response_headers_to_add": [["header": ["key": "x-back", "value": "1"]]],
          ]
        ], ["default/one": [server.address]], manager: ["upgrade_configs": [["upgrade_type": "websocket"]]])
      let client = proxy.connect()
      client.write(Self.webSocket)
      #expect(client.read(through: "\r\n\r\n")?.contains("\r\nx-back: 1\r\n") == true)
      for word in ["ping", "pong"] {
        client.write(word)
        #expect(client.read(count: 4) == Array(word.utf8))
        // Longer than the route's time, which is over with the switch.
        usleep(150_000)
      }
      await proxy.stop()
    }
  }
}
