import Addressing
import Glibc
import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Clusters whose endpoints speak HTTP/2.
  @Suite(.serialized) struct RoutedHTTP2UpstreamTests {
    static let http2: [String: JSONValue] = options(["explicit_http_config": ["http2_protocol_options": [:]]])

    static func options(_ options: JSONValue) -> [String: JSONValue] {
      var value = options.objectValue ?? [:]
      let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
      value["@type"] = .string("type.googleapis.com/\(name)")
      return ["typed_extension_protocol_options": .object([name: .object(value)])]
    }

    /// A proxy all of whose requests go to one cluster.
    static func proxy(
      _ servers: [SocketAddress], host: String = "127.0.0.1", _ options: [String: JSONValue] = http2,
      _ action: [String: JSONValue] = [:], change: (inout ProxyOptions) -> Void = { _ in }
    ) throws -> RoutedProxy {
      try RoutedProxy(
        [Routes.to("c", action)], [:], host: host,
        resources: [Routes.cluster("c", servers.map { Routes.endpoint($0) }, options)], change: change)
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `requests of HTTP/1 share a connection to the server`(_ host: String) async throws {
      let server = try TestServer.http2Echo(host)
      let proxy = try Self.proxy([server.address], host: host)
      let clients = (0..<10).map { _ in proxy.connect() }
      for round in 0..<5 {
        for client in clients { client.write("POST /\(round) HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody") }
        for client in clients {
          let head = try #require(client.read(through: "\r\n\r\n"))
          #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.contains("x-server: echo\r\n"))
          #expect(head.contains("transfer-encoding: chunked\r\n"))
          let text = "POST /\(round) a body #0"
          #expect(client.read(through: "0\r\n\r\n") == "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n0\r\n\r\n")
        }
      }
      #expect(proxy.server.statistics.upstreamConnections == 1)
      let records = await proxy.records.wait(50)
      #expect(records.count == 50 && records.allSatisfy { !$0.isHTTP2 && $0.status == 200 && !$0.isAborted })
      await proxy.stop()
    }

    @Test func `chunks, HTTP/1.0, HEAD and an absolute target`() async throws {
      let server = try TestServer.http2 { peer, _ in
        while let head = peer.read() {
          guard head.type == 1 else { continue }
          var body = ""
          var trailers: [String: String] = [:]
          var last = head
          while !last.endsStream, let frame = peer.read() {
            if frame.type == 0 { body += frame.text } else { trailers = frame.fields }
            last = frame
          }
          let names = head.fields.keys.filter { !$0.hasPrefix(":") }.sorted().joined(separator: " ")
          let text =
            "\(head.fields[":method"] ?? "") \(head.fields[":authority"] ?? "-") \(head.fields[":path"] ?? "") "
            + "[\(names)] \(body) \(trailers["x-end"] ?? "")"
          let isHEAD = head.fields[":method"] == "HEAD"
          peer.headers(head.stream, [(":status", "200"), ("content-type", "a")], end: isHEAD)
          if !isHEAD { peer.data(head.stream, text, end: true) }
        }
      }
      let proxy = try Self.proxy([server.address])
      let client = proxy.connect()
      client.write(
        "POST /c HTTP/1.1\r\nHost: a\r\nConnection: te, x-hop\r\nTE: trailers\r\nX-Hop: 1\r\nX-Keep: 2\r\n"
          + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-End: 9\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n")?.contains("200 OK") == true)
      #expect(client.read(through: "0\r\n\r\n")?.contains("POST a /c [te x-keep] abcde 9") == true)
      client.write("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n")?.contains("200 OK") == true)
      client.write("GET http://A/abs?x HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(client.read(through: "0\r\n\r\n")?.contains("GET a /abs?x [] ") == true)
      let old = proxy.connect()
      old.write("GET /old HTTP/1.0\r\nHost: a\r\n\r\n")
      let answer = old.readToEnd()
      #expect(answer.contains("connection: close\r\n") && !answer.contains("chunked"))
      #expect(answer.hasSuffix("\r\n\r\nGET a /old []  "))
      await proxy.stop()
    }

    /// A gRPC server in little: unary calls, streams of messages both ways, failures without a body.
    static func grpc(_ host: String = "127.0.0.1", failing count: Int = 0) throws -> TestServer {
      let left = Mutex(count)
      return try TestServer.http2(host) { peer, _ in
        var paths: [UInt32: String] = [:]
        while let frame = peer.read() {
          if frame.type == 1 {
            guard frame.fields["te"] == "trailers", frame.fields["content-type"] == "application/grpc" else { return }
            let fails = left.withLock { left in
              left -= 1
              return left >= 0
            }
            if fails {
              let status = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")]
              peer.headers(frame.stream, status, end: true)
              continue
            }
            paths[frame.stream] = frame.fields[":path"]
            peer.headers(frame.stream, [(":status", "200"), ("content-type", "application/grpc")], end: false)
          }
          guard paths[frame.stream] != nil else { continue }
          if frame.type == 0, !frame.payload.isEmpty { peer.data(frame.stream, "echo " + frame.text) }
          if frame.endsStream {
            peer.headers(frame.stream, [("grpc-status", "0"), ("grpc-message", "done")], end: true)
          }
        }
      }
    }

    private static let call = [("te", "trailers"), ("content-type", "application/grpc")]

    @Test(arguments: ["127.0.0.1", "::1"])
    func `gRPC, unary and both ways`(_ host: String) async throws {
      let server = try Self.grpc(host)
      let proxy = try Self.proxy([server.address], host: host)
      let client = HTTP2Peer(client: proxy.connect())
      for number in 0..<20 {
        let stream = UInt32(4 * number + 1)
        client.request(stream, "/a.B/Unary", method: "POST", Self.call, end: false)
        client.data(stream, "call \(number)", end: true)
        let response = try #require(client.response())
        #expect(response.status == "200" && response.body == "echo call \(number)")
        #expect(response.trailers == ["grpc-status": "0", "grpc-message": "done"])
        client.request(stream + 2, "/a.B/Chat", method: "POST", Self.call, end: false)
        #expect(client.read()?.fields["content-type"] == "application/grpc")
        for message in 0..<10 {
          client.data(stream + 2, "\(message)")
          #expect(client.read()?.text == "echo \(message)")
        }
        client.data(stream + 2, "", end: true)
        let trailers = try #require(client.read())
        #expect(trailers.type == 1 && trailers.endsStream && trailers.fields["grpc-status"] == "0")
      }
      #expect(proxy.server.statistics.upstreamConnections == 1)
      #expect(await proxy.records.wait(40).allSatisfy { $0.isHTTP2 && !$0.isAborted && $0.method == "POST" })
      await proxy.stop()
    }

    @Test func `a status without a body is passed as it is, or has the call sent again`() async throws {
      let plain = try Self.grpc(failing: 1)
      let first = try Self.proxy([plain.address])
      let client = HTTP2Peer(client: first.connect())
      client.request(1, "/a.B/C", method: "POST", Self.call, end: false)
      client.data(1, "x", end: true)
      let head = try #require(client.read())
      #expect(
        head.endsStream && head.fields == [":status": "200", "content-type": "application/grpc", "grpc-status": "14"])
      await first.stop()

      let failing = try Self.grpc(failing: 2)
      let policy: JSONValue = ["retry_on": "unavailable", "num_retries": 3]
      let second = try Self.proxy([failing.address], Self.http2, ["retry_policy": policy])
      let again = HTTP2Peer(client: second.connect())
      again.request(1, "/a.B/C", method: "POST", Self.call, end: false)
      again.data(1, "x", end: true)
      let response = try #require(again.response())
      #expect(response.body == "echo x" && response.trailers["grpc-status"] == "0")
      #expect(second.server.statistics.retries == 2)
      await second.stop()
    }

    @Test(arguments: ["refused-stream", "reset", "5xx", "gateway-error", "connect-failure", ""])
    func `a refused stream is sent again as the policy says`(_ condition: String) async throws {
      let server = try TestServer.http2 { peer, _ in
        var isFirst = true
        while let frame = peer.read() {
          guard frame.type == 1 else { continue }
          if isFirst {
            peer.reset(frame.stream, 7)
          } else {
            peer.headers(frame.stream, [(":status", "200")], end: true)
          }
          isFirst = false
        }
      }
      let action: [String: JSONValue] =
        condition.isEmpty ? [:] : ["retry_policy": ["retry_on": .string(condition)]]
      let proxy = try Self.proxy([server.address], Self.http2, action)
      let repeats = !condition.isEmpty && condition != "connect-failure"
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/")
      #expect(client.read()?.fields[":status"] == (repeats ? "200" : "503"))
      #expect(proxy.server.statistics.upstreamConnections == 1)
      await proxy.stop()
    }

    @Test func `what a server says goodbye to goes elsewhere`() async throws {
      let server = try TestServer.http2 { peer, number in
        guard let first = peer.read(), first.type == 1 else { return }
        if number == 0 {
          // The second stream is not looked at any more.
          guard let second = peer.read(), second.type == 1 else { return }
          peer.goAway(first.stream)
          peer.headers(first.stream, [(":status", "200"), ("x-number", "0")], end: true)
          _ = peer.read()
          return
        }
        var frame: HTTP2Peer.Frame? = first
        while let head = frame {
          if head.type == 1 { peer.headers(head.stream, [(":status", "200"), ("x-number", "1")], end: true) }
          frame = peer.read()
        }
      }
      let proxy = try Self.proxy([server.address], Self.http2, ["retry_policy": ["retry_on": "refused-stream"]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/")
      client.request(3, "/")
      var numbers: [UInt32: String] = [:]
      while numbers.count < 2, let frame = client.read() { numbers[frame.stream] = frame.fields["x-number"] }
      #expect(numbers == [1: "0", 3: "1"])
      client.request(5, "/")
      #expect(client.read()?.fields["x-number"] == "1")
      #expect(proxy.server.statistics.upstreamConnections == 2)
      await proxy.stop()
    }

    @Test func `more requests than a server takes at once get further connections`() async throws {
      let server = try TestServer.http2(settings: [(3, 4)]) { peer, _ in
        var open: [UInt32] = []
        while let frame = peer.read() {
          if frame.type == 1 { open.append(frame.stream) }
          #expect(open.count <= 4)
          guard open.count == 4 else { continue }
          for stream in open { peer.headers(stream, [(":status", "200")], end: true) }
          open = []
        }
      }
      let proxy = try Self.proxy([server.address])
      let client = HTTP2Peer(client: proxy.connect())
      // The first four, by which the server's settings become known.
      for number in 0..<4 { client.request(UInt32(2 * number + 1), "/") }
      for _ in 0..<4 { #expect(client.read()?.fields[":status"] == "200") }
      for number in 4..<16 { client.request(UInt32(2 * number + 1), "/") }
      for _ in 4..<16 { #expect(client.read()?.fields[":status"] == "200") }
      #expect(proxy.server.statistics.upstreamConnections == 3)
      await proxy.stop()
    }

    @Test func `servers are spoken to as the client speaks`() async throws {
      let server = try TestServer { socket, number in
        guard let first = socket.read(through: "\r\n\r\n") else { return }
        guard first.hasPrefix("PRI ") else {
          socket.write(response("200 OK", "one"))
          return
        }
        _ = socket.read(through: "SM\r\n\r\n")
        let peer = HTTP2Peer(socket)
        peer.settings([])
        while let frame = peer.read() {
          if frame.type == 1 {
            peer.headers(frame.stream, [(":status", "200")], end: false)
            peer.data(frame.stream, "two", end: true)
          }
        }
      }
      let proxy = try Self.proxy([server.address], Self.options(["use_downstream_protocol_config": [:]]))
      #expect(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.body == "one")
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/")
      #expect(client.response()?.body == "two")
      await proxy.stop()
    }

    @Test func `a service's port may say that it speaks HTTP/2`() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      try proxy.setEndpoints(["default/one": [server.address]], http2: ["default/one"])
      let client = proxy.connect()
      client.write("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(client.read(through: "0\r\n\r\n")?.contains("GET /a a #0") == true)
      // And may not say so any more.
      let plain = try TestServer.mirror("plain")
      try proxy.setEndpoints(["default/one": [plain.address]])
      #expect(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.body.hasPrefix("plain") == true)
      await proxy.stop()
    }

    @Test func `a server that is lost, never there, or speaks HTTP/1`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        if head.fields[":path"] == "/half" {
          peer.headers(head.stream, [(":status", "200")], end: false)
          peer.data(head.stream, "half")
        }
      }
      let proxy = try Self.proxy([server.address])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/lost")
      #expect(client.response()?.status == "503")
      client.request(3, "/half")
      #expect(client.read()?.fields[":status"] == "200")
      #expect(client.read()?.text == "half")
      #expect(client.read()?.type == 3)
      await proxy.stop()

      let nobody = try DeadEnd()
      let refused = try Self.proxy([nobody.address])
      #expect(refused.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 503") == true)
      await refused.stop()

      let old = try TestServer { socket, _ in
        _ = socket.read(count: 1)
        socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")
      }
      let foreign = try Self.proxy([old.address])
      #expect(foreign.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 503") == true)
      await foreign.stop()
    }

    @Test func `large bodies pass both ways with small windows`() async throws {
      let server = try TestServer.http2 { peer, _ in
        var body: [UInt8] = []
        while let frame = peer.read() {
          body += frame.type == 0 ? frame.payload : []
          guard frame.endsStream else {
            if frame.type == 0, !frame.payload.isEmpty {
              peer.grow(0, UInt32(frame.payload.count))
              peer.grow(frame.stream, UInt32(frame.payload.count))
            }
            continue
          }
          peer.headers(frame.stream, [(":status", "200")], end: false)
          for start in stride(from: 0, to: body.count, by: 8000) {
            let end = min(start + 8000, body.count)
            peer.data(frame.stream, Array(body[start..<end]), end: end == body.count)
          }
        }
      }
      let proxy = try Self.proxy([server.address])
      let client = HTTP2Peer(client: proxy.connect(), settings: [(4, 1000)])
      client.request(1, "/", method: "POST", end: false)
      let piece = String(repeating: "abcdefgh", count: 2000)
      var left = 10
      var got = ""
      while left > 0 {
        client.data(1, piece, end: left == 1)
        left -= 1
      }
      var head = client.read()
      #expect(head?.fields[":status"] == "200")
      head = client.read()
      while let frame = head, frame.type == 0 {
        #expect(frame.payload.count <= 1000)
        got += frame.text
        if frame.endsStream { break }
        client.grow(0, UInt32(frame.payload.count))
        client.grow(1, UInt32(frame.payload.count))
        head = client.read()
      }
      #expect(got == String(repeating: piece, count: 10))
      await proxy.stop()
    }

    @Test func `a client that gives up has the server told so`() async throws {
      let codes = Mutex<[UInt32]>([])
      let server = try TestServer.http2 { peer, _ in
        while let frame = peer.read() {
          if frame.type == 3 { codes.withLock { $0.append(frame.code) } }
          if frame.type == 1, frame.fields[":path"] == "/fine" {
            peer.headers(frame.stream, [(":status", "200")], end: true)
          }
        }
      }
      let proxy = try Self.proxy([server.address])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/wait")
      client.request(3, "/fine")
      #expect(client.read()?.fields[":status"] == "200")
      client.reset(1, 8)
      for _ in 0..<2000 where codes.withLock({ $0.isEmpty }) { usleep(10000) }
      let other = proxy.connect()
      other.write("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
      client.request(5, "/fine")
      #expect(client.read()?.fields[":status"] == "200")
      other.reset()
      client.request(7, "/fine")
      #expect(client.read()?.fields[":status"] == "200")
      #expect(codes.withLock { $0.first } == 8)
      #expect(proxy.server.statistics.upstreamConnections == 1)
      await proxy.stop()
    }
  }
}
