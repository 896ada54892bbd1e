import Addressing
import Foundation
import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct RoutedForwardingTests {
    static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    static let canary = "GET / HTTP/1.1\r\nHost: a\r\nX-Canary: true\r\n\r\n"

    static let byHeader: JSONValue = [
      [
        "name": "canary",
        "match": ["prefix": "/", "headers": [["name": "x-canary", "exact_match": "true"]]],
        "route": ["cluster": "default/two"],
      ],
      Routes.to("default/one"),
    ]

    /// The name of the server that answered, and the number of its connection.
    private static func name(_ answer: (head: String, body: String)?) -> String {
      String(answer?.body.prefix { $0 != "\n" } ?? "")
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `a header chooses the server`(_ host: String) async throws {
      let one = try TestServer.mirror("one", host)
      let two = try TestServer.mirror("two", host)
      let proxy = try RoutedProxy(
        Self.byHeader, ["default/one": [one.address], "default/two": [two.address]], host: host)
      let client = proxy.connect()
      for _ in 0..<20 {
        #expect(Self.name(client.asking(Self.get)) == "one#0")
        #expect(Self.name(client.asking(Self.canary)) == "two#0")
      }
      #expect(proxy.server.statistics.upstreamConnections == 2)
      let records = await proxy.records.wait(40)
      let (plain, canary) = (try #require(records.first), try #require(records.dropFirst().first))
      #expect(plain.route == "all[1]" && plain.cluster == "default/one" && plain.server == one.address)
      #expect(canary.route == "canary" && canary.cluster == "default/two" && canary.server == two.address)
      #expect(plain.listener == 7 && plain.service == 5 && plain.status == 200 && plain.dropReason == 0)
      #expect(plain.sourceIdentity == 1001 && plain.destinationIdentity == 1002)
      await proxy.stop()
    }

    @Test func `requests that are sent ahead keep their order`() async throws {
      let one = try TestServer.mirror("one")
      let two = try TestServer.mirror("two")
      let proxy = try RoutedProxy(Self.byHeader, ["default/one": [one.address], "default/two": [two.address]])
      let client = proxy.connect()
      client.write(String(repeating: Self.get + Self.canary + Self.canary, count: 100))
      for _ in 0..<100 {
        for name in ["one", "two", "two"] { #expect(Self.name(client.readMessage()).hasPrefix(name)) }
      }
      await proxy.stop()
    }

    /// 10,000 requests: the share lies within three standard deviations.
    @Test func `weights are kept`() async throws {
      let (one, ones) = try TestServer.script { _, _, _ in response("200 OK", "1") }
      let (two, twos) = try TestServer.script { _, _, _ in response("200 OK", "2") }
      let proxy = try RoutedProxy(
        [
          [
            "match": ["prefix": "/"],
            "route": [
              "weighted_clusters": [
                "clusters": [["name": "default/one", "weight": 90], ["name": "default/two", "weight": 10]]
              ]
            ],
          ]
        ], ["default/one": [one.address], "default/two": [two.address]])
      let client = proxy.connect()
      for _ in 0..<100 {
        client.write(String(repeating: Self.get, count: 100))
        for _ in 0..<100 { _ = client.readMessage() }
      }
      #expect(ones() + twos() == 10_000)
      // 30 is the standard deviation of the binomial distribution.
      #expect(abs(twos() - 1000) <= 90)
      await proxy.stop()
    }

    @Test func `endpoints take turns, on one connection each`() async throws {
      let servers = try (0..<3).map { try TestServer.mirror("\($0)") }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": servers.map(\.address)])
      let client = proxy.connect()
      var counts: [String: Int] = [:]
      for number in 0..<30 {
        let request = number % 2 == 0 ? Self.get : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
        counts[Self.name(client.asking(request)), default: 0] += 1
      }
      #expect(counts == ["0#0": 10, "1#0": 10, "2#0": 10])
      await proxy.stop()
    }

    @Test func `what the server gets`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [
          [
            "match": ["prefix": "/api/"],
            "route": [
              "cluster": "default/one", "prefix_rewrite": "/v2/", "host_rewrite_literal": "inner.example",
            ],
            "request_headers_to_add": [
              ["header": ["key": "x-from", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"]],
              ["header": ["key": "x-twice", "value": "b"]],
              ["header": ["key": "x-set", "value": "new"], "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"],
            ],
            "request_headers_to_remove": ["x-gone"],
          ],
          [
            "match": ["safe_regex": ["regex": "/r/.*"]],
            "route": [
              "cluster": "default/one",
              "regex_rewrite": ["pattern": ["regex": "/r/(.*)"], "substitution": "/\\1/r"],
            ],
          ],
          Routes.to("default/one"),
        ], ["default/one": [one.address]])
      let sent =
        "GET /api/x?q=1 HTTP/1.1\r\nX-Gone: 1\r\nHost: a\r\nX-Twice: a\r\nx-set: old\r\nx-GONE: 2\r\n\r\n"
      let got = try #require(proxy.ask(sent)?.body)
      #expect(got.hasPrefix("one#0\nGET /v2/x?q=1 HTTP/1.1\r\nhost: inner.example\r\n"))
      for line in ["x-from: 127.0.0.1", "X-Twice: a", "x-twice: b", "x-set: new", "x-envoy-original-path: /api/x?q=1"] {
        #expect(got.contains("\r\n\(line)\r\n"), "\(line)")
      }
      #expect(!got.lowercased().contains("x-gone") && !got.contains("old"))
      #expect(proxy.ask("GET /r/x?y HTTP/1.1\r\nHost: a\r\n\r\n")?.body.contains("GET /x/r?y HTTP/1.1\r\n") == true)
      // Without a change, octet for octet.
      let plain = "GET http://a/plain HTTP/1.1\r\nhOST:   a\r\nX:y\r\n\r\n"
      #expect(proxy.ask(plain)?.body.hasSuffix("\n" + plain) == true)
      // A target that names the authority gives way to the path.
      #expect(
        proxy.ask("GET http://a/api/z HTTP/1.1\r\nHost: a\r\n\r\n")?.body.contains(
          "\nGET /v2/z HTTP/1.1\r\nhost: inner.example\r\n") == true)
      await proxy.stop()
    }

    @Test func `what the client gets`() async throws {
      let one = try TestServer.mirror("one", fields: "X-Inner: secret\r\nX-Kept: 1\r\n")
      let proxy = try RoutedProxy(
        [
          "virtual_hosts": [
            [
              "name": "all", "domains": ["*"], "routes": [Routes.to("default/one")],
              "response_headers_to_remove": ["x-inner"],
              "response_headers_to_add": [
                ["header": ["key": "x-asked", "value": "%REQ(x-q)% %RESP(x-server)% %RESPONSE_CODE%"]]
              ],
            ]
          ]
        ], ["default/one": [one.address]])
      let client = proxy.connect()
      for number in 0..<3 {
        let answer = try #require(client.asking("GET / HTTP/1.1\r\nHost: a\r\nX-Q: \(number)\r\n\r\n"))
        #expect(answer.head.contains("\r\nx-asked: \(number) one 200\r\n"))
        #expect(answer.head.contains("\r\nX-Kept: 1\r\n") && !answer.head.lowercased().contains("x-inner"))
        #expect(answer.body.hasPrefix("one#0"))
      }
      client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      let last = client.readToEnd()
      #expect(last.contains("\r\nx-asked:") && last.contains("\r\nconnection: close\r\n"))
      await proxy.stop()
    }

    @Test func `all kinds of messages`() async throws {
      let server = try TestServer { socket, _ in
        while let head = socket.read(through: "\r\n\r\n") {
          if head.hasPrefix("HEAD") {
            socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
          } else if head.contains("chunked") {
            guard let body = socket.read(through: "0\r\n\r\n") else { return }
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(body)")
          } else if head.lowercased().contains("expect") {
            socket.write("HTTP/1.1 100 Continue\r\n\r\n")
            guard let body = socket.read(count: 4) else { return }
            socket.write(response("200 OK", String(decoding: body, as: UTF8.self)))
          } else {
            socket.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + response("200 OK", "hinted"))
          }
        }
      }
      let proxy = try RoutedProxy(
        [
          [
            "match": ["prefix": "/"], "route": ["cluster": "default/one"],
            "response_headers_to_add": [["header": ["key": "x-r", "value": "1"]]],
            "request_headers_to_add": [["header": ["key": "x-q", "value": "1"]]],
          ]
        ], ["default/one": [server.address]])
      let client = proxy.connect()
      client.write("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n")?.contains("Content-Length: 1000\r\nx-r: 1\r\n") == true)
      client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n")?.contains("x-r: 1") == true)
      #expect(client.read(through: "0\r\n\r\n") == "3\r\nabc\r\n0\r\n\r\n")
      client.write("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
      client.write("body")
      #expect(client.readMessage()?.body == "body")
      client.write(Self.get)
      #expect(client.read(through: "\r\n\r\n") == "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
      #expect(client.readMessage()?.body == "hinted")
      let old = proxy.connect()
      old.write("HEAD / HTTP/1.0\r\n\r\n")
      #expect(old.readToEnd().hasPrefix("HTTP/1.1 200 OK\r\n"))
      await proxy.stop()
    }

    /// The buffer is full of what follows the head when that gets longer.
    @Test func `a head grows before a large body`() async throws {
      let size = 3_000_000
      let server = try TestServer { socket, _ in
        while let head = socket.read(through: "\r\n\r\n") {
          let count = socket.drain(size)
          socket.write(response("200 OK", "\(count) \(head.contains("x-long: "))"))
        }
      }
      let proxy = try RoutedProxy(
        [
          [
            "match": ["prefix": "/"], "route": ["cluster": "default/one"],
            "request_headers_to_add": [
              ["header": ["key": "x-long", "value": .string(String(repeating: "l", count: 8000))]]
            ],
          ]
        ], ["default/one": [server.address]])
      let client = proxy.connect()
      for _ in 0..<3 {
        client.write(
          Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n".utf8)
            + [UInt8](repeating: 120, count: size))
        #expect(client.readMessage()?.body == "\(size) true")
      }
      await proxy.stop()
    }

    @Test func `a name of the endpoint becomes the authority`() async throws {
      let one = try TestServer.mirror("one")
      let cluster = Routes.cluster("fixed", [Routes.endpoint(one.address, hostname: "named.example")])
      let proxy = try RoutedProxy(
        [Routes.to("fixed", ["auto_host_rewrite": true])], [:], resources: [cluster])
      let body = try #require(proxy.ask(Self.get)?.body)
      #expect(body.contains("host: named.example\r\n") && body.contains("x-envoy-original-host: a\r\n"))
      await proxy.stop()
    }

    @Test func `a hash policy keeps to an endpoint`() async throws {
      let servers = try (0..<4).map { try TestServer.mirror("\($0)") }
      let cluster = Routes.cluster("ring", servers.map { Routes.endpoint($0.address) }, ["lb_policy": "RING_HASH"])
      let policy: JSONValue = [["header": ["header_name": "x-user"]]]
      let proxy = try RoutedProxy([Routes.to("ring", ["hash_policy": policy])], [:], resources: [cluster])
      let client = proxy.connect()
      var names: Set<String> = []
      for user in 0..<60 {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nX-User: u\(user)\r\n\r\n"
        let first = Self.name(client.asking(request))
        names.insert(first)
        for _ in 0..<2 { #expect(Self.name(client.asking(request)) == first) }
      }
      #expect(names.count == 4)
      await proxy.stop()
    }

    @Test func `clients share connections to a backend`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [one.address]])
      for _ in 0..<20 {
        #expect(Self.name(proxy.ask(Self.get)) == "one#0")
        for _ in 0..<4000 where proxy.server.statistics.openConnections > 0 { usleep(5000) }
      }
      #expect(proxy.server.statistics.upstreamReuses == 19)
      await proxy.stop()
    }

    @Test func `a server that closes between requests is not noticed`() async throws {
      let server = try TestServer { socket, number in
        _ = socket.readMessage()
        socket.write(response("200 OK", "\(number)"))
        _ = socket.read(count: 1)
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["prefix_rewrite": "/x"])], ["default/one": [server.address]])
      let client = proxy.connect()
      for number in 0..<20 { #expect(client.asking(Self.get)?.body == "\(number)") }
      await proxy.stop()
    }
  }
}
