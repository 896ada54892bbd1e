import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// What RFC 9113 wants refused, on a connection whose streams become requests of HTTP/1: nothing of it may reach a server,
  /// and no other stream may notice.
  @Suite(.serialized) struct RoutedHTTP2ConformanceTests {
    struct Case: CustomTestStringConvertible, Sendable {
      let testDescription: String
      let fields: [(String, String)]
      var body: String?

      init(_ name: String, _ fields: [(String, String)], body: String? = nil) {
        testDescription = name
        self.fields = fields
        self.body = body
      }

      /// A good request with something more.
      init(_ name: String, _ method: String = "GET", more: [(String, String)], body: String? = nil) {
        let head = [(":method", method), (":scheme", "http"), (":path", "/bad"), (":authority", "a")]
        self.init(name, head + more, body: body)
      }
    }

    static let malformed: [Case] = [
      Case("no method", [(":scheme", "http"), (":path", "/bad"), (":authority", "a")]),
      Case("no path", [(":method", "GET"), (":scheme", "http"), (":authority", "a")]),
      Case("no scheme", [(":method", "GET"), (":path", "/bad"), (":authority", "a")]),
      Case("an empty path", [(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")]),
      Case(
        "two methods",
        [(":method", "GET"), (":method", "GET"), (":scheme", "http"), (":path", "/bad"), (":authority", "a")]),
      Case("a status", more: [(":status", "200")]),
      Case(
        "a pseudo field behind a field",
        [(":method", "GET"), ("x", "y"), (":scheme", "http"), (":path", "/bad"), (":authority", "a")]),
      Case("upper case", more: [("X-Upper", "a")]),
      Case("an empty name", more: [("", "a")]),
      Case("a blank in a name", more: [("x y", "a")]),
      Case("a colon in a name", more: [("x:y", "a")]),
      Case("connection", more: [("connection", "close")]),
      Case("keep-alive", more: [("keep-alive", "timeout=5")]),
      Case("proxy-connection", more: [("proxy-connection", "keep-alive")]),
      Case("upgrade", more: [("upgrade", "websocket")]),
      Case("te that is not trailers", more: [("te", "trailers, deflate")]),
      Case("a body longer than its length", "POST", more: [("content-length", "3")], body: "abcd"),
      Case("a body shorter than its length", "POST", more: [("content-length", "5")], body: "abcd"),
      Case("a length without a body", "POST", more: [("content-length", "5")]),
    ]

    static let smuggled: [Case] = [
      Case("a line feed in a value", more: [("x", "a\nhost: b")]),
      Case("an end of line in a value", more: [("x", "a\r\n\r\nGET /bad HTTP/1.1\r\nhost: b\r\n\r\n")]),
      Case("a carriage return in a value", more: [("x", "a\rb")]),
      Case("a zero in a value", more: [("x", "a\0b")]),
      Case("an end of line in a name", more: [("x: y\r\nz", "a")]),
      Case(
        "transfer-encoding", "POST", more: [("transfer-encoding", "chunked")],
        body: "0\r\n\r\nGET /bad HTTP/1.1\r\n\r\n"),
      Case(
        "length and transfer-encoding", "POST", more: [("content-length", "4"), ("transfer-encoding", "chunked")],
        body: "abcd"),
      Case("two lengths", "POST", more: [("content-length", "4"), ("content-length", "5")], body: "abcd"),
      Case("a list of lengths", "POST", more: [("content-length", "4, 4")], body: "abcd"),
      Case("a length with a sign", "POST", more: [("content-length", "+4")], body: "abcd"),
      Case("another host", more: [("host", "b")]),
      Case("two hosts", more: [("host", "a"), ("host", "a")]),
      Case(
        "a host with an end of line",
        [(":method", "GET"), (":scheme", "http"), (":path", "/bad"), (":authority", "a\r\nx: y")]),
      Case(
        "a blank in a path", [(":method", "GET"), (":scheme", "http"), (":path", "/bad HTTP/1.1"), (":authority", "a")]),
      Case(
        "an end of line in a path",
        [(":method", "GET"), (":scheme", "http"), (":path", "/bad\r\nx: y"), (":authority", "a")]),
      Case(
        "a path that is a whole target",
        [(":method", "GET"), (":scheme", "http"), (":path", "http://b/bad"), (":authority", "a")]),
      Case("a fragment", [(":method", "GET"), (":scheme", "http"), (":path", "/bad#x"), (":authority", "a")]),
      Case(
        "a blank in a method", [(":method", "GET /bad"), (":scheme", "http"), (":path", "/bad"), (":authority", "a")]),
      Case(
        "an end of line in a method",
        [
          (":method", "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET"), (":scheme", "http"), (":path", "/bad"),
          (":authority", "a"),
        ]),
    ]

    @Test(arguments: malformed + smuggled) func `refused`(_ test: Case) async throws {
      let heads = Mutex<[String]>([])
      let (server, _) = try TestServer.script { _, head, body in
        heads.withLock { $0.append(head + body) }
        return response("200 OK", "fine")
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]], change: { $0.drain = .zero })
      let client = HTTP2Peer(client: proxy.connect())
      // A stream that is open all the while.
      client.request(1, "/good", method: "POST", [("content-length", "4")], end: false)
      client.headers(3, test.fields, end: test.body == nil)
      if let body = test.body { client.data(3, body, end: true) }
      let reset = try #require(client.read())
      #expect(reset.type == 3 && reset.stream == 3 && reset.code == 1)
      client.data(1, "good", end: true)
      #expect(client.response() == .init(status: "200", body: "fine"))
      client.request(5, "/good")
      #expect(client.response() == .init(status: "200", body: "fine"))
      let seen = heads.withLock { $0 }
      #expect(seen.allSatisfy { !$0.contains("GET /bad") && !$0.contains("abcd") })
      await proxy.stop()
    }

    @Test func `a head larger than its bound`() async throws {
      let (server, count) = try TestServer.script { _, _, _ in response("200 OK") }
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]], change: { $0.limits = HTTPLimits(head: 8192) })
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/", (0..<100).map { ("x-\($0)", String(repeating: "a", count: 100)) })
      #expect(client.read()?.fields[":status"] == "431")
      client.request(3, "/" + String(repeating: "b", count: 7000))
      var frame = client.read()
      while let other = frame, other.stream == 1 { frame = client.read() }
      #expect(frame?.fields[":status"] == "200" && count() == 1)
      await proxy.stop()
    }

    /// CVE-2023-44487, with routes.
    @Test func `rapid resets end the connection`() async throws {
      let server = try TestServer.mirror("one")
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      let other = HTTP2Peer(client: proxy.connect())
      var stream: UInt32 = 1
      for _ in 0..<4000 {
        client.request(stream, "/")
        client.reset(stream, 8)
        stream += 2
      }
      var frame = client.read()
      while let next = frame, next.type != 7 { frame = client.read() }
      #expect(frame?.code == 11)
      other.request(1, "/")
      #expect(other.response()?.status == "200")
      await proxy.stop()
    }
  }
}
