import Addressing
import Foundation
import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct RoutedRetryTests {
    static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private static func route(_ policy: JSONValue, _ action: [String: JSONValue] = [:]) -> JSONValue {
      [Routes.to("default/one", action.merging(["retry_policy": policy]) { $1 })]
    }

    struct Case: Sendable, CustomTestStringConvertible {
      var policy: JSONValue
      /// nil: the connection is closed.
      var first: String?
      var isRepeated: Bool
      var request = RoutedRetryTests.get

      var testDescription: String { policy.text() + " " + (first?.prefix { $0 != "\r\n" } ?? "closed") }
    }

    static let cases: [Case] = [
      Case(policy: ["retry_on": "5xx"], first: response("500 No"), isRepeated: true),
      Case(policy: ["retry_on": "5xx"], first: nil, isRepeated: true),
      Case(policy: ["retry_on": "5xx"], first: response("404 No"), isRepeated: false),
      Case(policy: ["retry_on": "5xx"], first: response("503 No", "", "x-envoy-ratelimited: 1\r\n"), isRepeated: false),
      Case(policy: ["retry_on": "5xx", "num_retries": 0], first: response("500 No"), isRepeated: false),
      Case(policy: [:], first: response("500 No"), isRepeated: false),
      Case(policy: ["retry_on": "gateway-error"], first: response("503 No"), isRepeated: true),
      Case(policy: ["retry_on": "gateway-error"], first: response("500 No"), isRepeated: false),
      Case(policy: ["retry_on": "retriable-4xx"], first: response("409 No"), isRepeated: true),
      Case(policy: ["retry_on": "retriable-4xx"], first: response("404 No"), isRepeated: false),
      Case(
        policy: ["retry_on": "retriable-status-codes", "retriable_status_codes": [418]], first: response("418 No"),
        isRepeated: true),
      Case(
        policy: ["retry_on": "retriable-status-codes", "retriable_status_codes": [418]], first: response("417 No"),
        isRepeated: false),
      Case(
        policy: ["retry_on": "retriable-headers", "retriable_headers": [["name": "x-again"]]],
        first: response("200 No", "", "X-Again: 1\r\n"), isRepeated: true),
      Case(
        policy: ["retry_on": "retriable-headers", "retriable_headers": [["name": "x-again"]]],
        first: response("200 No"), isRepeated: false),
      Case(policy: ["retry_on": "unavailable"], first: response("200 No", "", "grpc-status: 14\r\n"), isRepeated: true),
      Case(policy: ["retry_on": "unavailable"], first: response("200 No", "", "grpc-status: 1\r\n"), isRepeated: false),
      Case(policy: ["retry_on": "reset"], first: nil, isRepeated: true),
      Case(policy: ["retry_on": "connect-failure"], first: nil, isRepeated: false),
      Case(
        policy: ["retry_on": "5xx", "retriable_request_headers": [["name": "x-retry"]]], first: response("500 No"),
        isRepeated: false),
      Case(
        policy: ["retry_on": "5xx", "retriable_request_headers": [["name": "x-retry"]]], first: response("500 No"),
        isRepeated: true, request: "GET / HTTP/1.1\r\nHost: a\r\nX-Retry: 1\r\n\r\n"),
      Case(
        policy: ["retry_on": "5xx"], first: response("500 No"), isRepeated: true,
        request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"),
    ]

    @Test(arguments: cases) func `what is sent again`(_ example: Case) async throws {
      let (server, count) = try TestServer.script { number, _, body in
        number == 0 ? example.first : response("200 OK", "again \(body)")
      }
      let proxy = try RoutedProxy(Self.route(example.policy), ["default/one": [server.address]])
      let client = proxy.connect()
      let answer = try #require(client.asking(example.request))
      if example.isRepeated {
        #expect(answer.head.hasPrefix("HTTP/1.1 200 OK") && answer.body.hasPrefix("again"))
        #expect(!example.request.hasPrefix("POST") || answer.body == "again body")
      } else {
        let status = example.first.map { $0.dropFirst(9).prefix(3) } ?? "503"
        #expect(answer.head.hasPrefix("HTTP/1.1 \(status) "))
      }
      #expect(count() == (example.isRepeated ? 2 : 1))
      #expect(proxy.server.statistics.retries == (example.isRepeated ? 1 : 0))
      let record = try #require(await proxy.records.wait(1).first)
      #expect(record.retries == (example.isRepeated ? 1 : 0))
      // The client's connection goes on.
      #expect(client.asking(Self.get)?.head.hasPrefix("HTTP/1.1 200 OK") == true)
      await proxy.stop()
    }

    @Test func `no more often than the policy says`() async throws {
      let (server, count) = try TestServer.script { _, _, _ in response("503 No", "no") }
      let policy: JSONValue = [
        "retry_on": "5xx", "num_retries": 3, "retry_back_off": ["base_interval": "0.001s", "max_interval": "0.002s"],
      ]
      let proxy = try RoutedProxy(Self.route(policy), ["default/one": [server.address]])
      let answer = try #require(proxy.ask(Self.get))
      #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.body == "no")
      #expect(count() == 4)
      await proxy.stop()
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `another endpoint is tried`(_ host: String) async throws {
      let dead = try DeadEnd(host)
      let one = try TestServer.mirror("one", host)
      let proxy = try RoutedProxy(
        Self.route(["retry_on": "connect-failure"]), ["default/one": [dead.address, one.address]], host: host)
      let client = proxy.connect()
      for number in 0..<20 {
        let body = number % 2 == 0 ? "" : "hello"
        let answer = try #require(
          client.asking("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"))
        #expect(answer.head.hasPrefix("HTTP/1.1 200 OK") && answer.body.hasSuffix("\r\n\r\n\(body)"))
      }
      #expect(proxy.server.statistics.retries >= 9)
      await proxy.stop()
    }

    @Test func `without a policy a refused connection is 503`() async throws {
      let dead = try DeadEnd()
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [dead.address]])
      let client = proxy.connect()
      for _ in 0..<3 {
        let answer = try #require(client.asking(Self.get))
        #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.body == "the server refused the connection\n")
      }
      await proxy.stop()
    }

    /// In pieces, and more than a block holds; with a head that is changed on the way.
    @Test(arguments: [false, true]) func `a body is sent again while it is held`(_ isChunked: Bool) async throws {
      let server = try TestServer { socket, number in
        while let head = socket.read(through: "\r\n\r\n") {
          #expect(head.contains("x-added: 1\r\n"))
          let count = isChunked ? socket.read(through: "0\r\n\r\n")?.utf8.count : socket.read(count: 20_000)?.count
          guard let count else { return }
          if number == 0 { return }
          socket.write(response("200 OK", "\(count)"))
        }
      }
      let proxy = try RoutedProxy(
        [
          [
            "match": ["prefix": "/"], "route": ["cluster": "default/one", "retry_policy": ["retry_on": "reset"]],
            "request_headers_to_add": [["header": ["key": "x-added", "value": "1"]]],
          ]
        ], ["default/one": [server.address]])
      let client = proxy.connect()
      client.write("POST / HTTP/1.1\r\nHost: a\r\nX-Long: \(String(repeating: "l", count: 4500))\r\n")
      client.write(isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: 20000\r\n\r\n")
      for _ in 0..<10 {
        let piece = String(repeating: "x", count: 2000)
        client.write(isChunked ? "7d0\r\n\(piece)\r\n" : piece)
        usleep(5000)
      }
      if isChunked { client.write("0\r\n\r\n") }
      // And what is sent ahead stays behind it.
      client.write("POST / HTTP/1.1\r\nHost: a\r\n")
      client.write(
        isChunked
          ? "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
          : "Content-Length: 20000\r\n\r\n\(String(repeating: "y", count: 20000))")
      #expect(client.readMessage()?.body == (isChunked ? "\(10 * 2007 + 5)" : "20000"))
      #expect(client.readMessage()?.body == (isChunked ? "5" : "20000"))
      #expect(proxy.server.statistics.retries == 1)
      await proxy.stop()
    }

    @Test func `a body that is too large to hold is sent once`() async throws {
      let (server, count) = try TestServer.script { _, _, _ in response("503 No", "no") }
      let proxy = try RoutedProxy(Self.route(["retry_on": "5xx"]), ["default/one": [server.address]])
      let client = proxy.connect()
      client.write(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + String(repeating: "x", count: 200_000))
      #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 503 ") == true)
      #expect(count() == 1)
      await proxy.stop()
    }

    @Test func `the virtual host's policy is for routes without one`() async throws {
      let (server, count) = try TestServer.script { number, _, _ in
        response(number == 0 ? "500 No" : "200 OK", "\(number)")
      }
      let proxy = try RoutedProxy(
        [
          "virtual_hosts": [
            [
              "name": "all", "domains": ["*"], "retry_policy": ["retry_on": "5xx"],
              "routes": [Routes.to("default/one")],
            ]
          ]
        ], ["default/one": [server.address]])
      #expect(proxy.ask(Self.get)?.body == "1")
      #expect(count() == 2)
      await proxy.stop()
    }
  }
}
