import Addressing
import Glibc
import JSON
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Clients that speak HTTP/2 to a listener, and servers that do not.
  @Suite(.serialized) struct RoutedHTTP2Tests {
    @Test(arguments: ["127.0.0.1", "::1"])
    func `streams are routed one by one, as requests are`(_ host: String) async throws {
      let one = try TestServer.mirror("one", host)
      let two = try TestServer.mirror("two", host)
      let routes: JSONValue = [
        ["match": ["prefix": "/two"], "route": ["cluster": "default/two", "prefix_rewrite": "/2"]],
        ["match": ["path": "/here"], "direct_response": ["status": 418, "body": ["inline_string": "short"]]],
        ["match": ["path": "/gone"], "redirect": ["host_redirect": "b"]],
        [
          "match": ["prefix": "/"], "route": ["cluster": "default/one"],
          "request_headers_to_add": [["header": ["key": "x-protocol", "value": "%PROTOCOL%"]]],
          "response_headers_to_add": [["header": ["key": "x-path", "value": "%REQ(:path)%"]]],
        ],
      ]
      let proxy = try RoutedProxy(
        routes, ["default/one": [one.address], "default/two": [two.address]], host: host)
      let client = HTTP2Peer(client: proxy.connect())
      for number in 0..<20 {
        let stream = UInt32(8 * number + 1)
        client.request(
          stream, "/x?\(number)", [("cookie", "a=1"), ("x-a", "b"), ("cookie", "c=2"), ("te", "trailers")])
        let head = try #require(client.read())
        #expect(
          head.fields[":status"] == "200" && head.fields["x-server"] == "one" && head.fields["x-path"] == "/x?\(number)"
        )
        #expect(head.fields["connection"] == nil && !head.endsStream)
        let body = try #require(client.read())
        #expect(body.endsStream)
        let lines = body.text.components(separatedBy: "\r\n")
        #expect(lines[0].hasSuffix("GET /x?\(number) HTTP/1.1") && lines[1] == "host: a")
        #expect(lines.contains("cookie: a=1; c=2") && lines.contains("x-a: b") && lines.contains("te: trailers"))
        #expect(lines.contains("x-protocol: HTTP/2") && !body.text.contains("transfer-encoding"))
        client.request(stream + 2, "/two/\(number)")
        #expect(client.response()?.body.contains("GET /2/\(number) HTTP/1.1") == true)
        client.request(stream + 4, "/here")
        #expect(client.response() == .init(status: "418", body: "short"))
        client.request(stream + 6, "/gone")
        #expect(client.read()?.fields["location"] == "http://b/gone")
      }
      let records = await proxy.records.wait(80)
      #expect(records.count == 80 && records.allSatisfy { $0.isHTTP2 && !$0.isAborted && $0.host == "a" })
      #expect(proxy.server.statistics.requests == 80)
      #expect(proxy.server.statistics.upstreamConnections == 2)
      await proxy.stop()
    }

    @Test func `bodies and trailers pass both ways`() async throws {
      let server = try TestServer { socket, _ in
        // Chunks, whose sizes are the proxy's affair.
        guard let head = socket.read(through: "\r\n\r\n"), head.contains("transfer-encoding: chunked\r\n") else {
          return
        }
        var body = ""
        while let line = socket.read(through: "\r\n"),
          let size = Int(line.dropLast(1).prefix { $0 != "\r\n" }, radix: 16)
        {
          if size == 0 { break }
          body += String(decoding: socket.read(count: size + 2) ?? [], as: UTF8.self).dropLast(1)
        }
        let trailers = socket.read(through: "\r\n\r\n") ?? ""
        socket.write(
          "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            + "Keep-Alive: timeout=5\r\nConnection: x-drop, keep-alive\r\nX-Drop: 1\r\nTrailer: X-Sum\r\n\r\n"
            + "5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\nX-Sum: \(body.utf8.count)\r\n")
        usleep(20000)
        socket.write("X-Got: \(trailers.contains("x-end: 7\r\n"))\r\n\r\n")
        // A length that was said is kept.
        guard let second = socket.readMessage(), second.head.contains("content-length: 4\r\n") else { return }
        socket.write("HTTP/1.1 200 OK\r\n\r\nuntil the end \(second.body)")
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/", method: "POST", end: false)
      client.data(1, "abc")
      client.data(1, "defg")
      client.headers(1, [("x-end", "7")], end: true)
      #expect(client.read()?.fields == [":status": "103", "link": "</a>"])
      #expect(client.read()?.fields == [":status": "200", "trailer": "X-Sum"])
      var text = ""
      var last = try #require(client.read())
      while last.type == 0 {
        text += last.text
        last = try #require(client.read())
      }
      #expect(text == "hello world" && last.type == 1 && last.endsStream)
      #expect(last.fields == ["x-sum": "7", "x-got": "true"])
      client.request(3, "/", method: "PUT", [("content-length", "4")], end: false)
      client.data(3, "12")
      client.data(3, "34", end: true)
      #expect(client.response() == .init(status: "200", body: "until the end 1234"))
      await proxy.stop()
    }

    @Test func `responses without a body end with their head`() async throws {
      let (server, _) = try TestServer.script { number, _, _ in
        switch number {
        case 0: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        case 1: "HTTP/1.1 204 No Content\r\n\r\n"
        case 2: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
        case 3: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        case 4: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        default: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        }
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      for (number, status) in ["200", "204", "304", "200", "200", "200"].enumerated() {
        client.request(UInt32(2 * number + 1), "/", method: number == 0 || number == 5 ? "HEAD" : "GET")
        let head = try #require(client.read())
        #expect(head.type == 1 && head.endsStream && head.fields[":status"] == status)
        if number == 0 { #expect(head.fields["content-length"] == "1000") }
      }
      await proxy.stop()
    }

    @Test func `many streams at once, of any length`() async throws {
      let server = try TestServer { socket, _ in
        while let message = socket.readMessage() {
          let count = Int(message.head.split(separator: " ")[1].dropFirst()) ?? 0
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n" + String(repeating: "x", count: count))
        }
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect(), settings: [(4, 1 << 20)])
      client.grow(0, 1 << 30)
      var expected: [UInt32: Int] = [:]
      for number in 0..<100 {
        let stream = UInt32(2 * number + 1)
        expected[stream] = number * number * 37
        client.request(stream, "/\(number * number * 37)")
      }
      var got: [UInt32: Int] = [:]
      var ended = 0
      while ended < 100, let frame = client.read() {
        #expect(frame.type <= 1)
        if frame.type == 0 { got[frame.stream, default: 0] += frame.payload.count }
        if frame.endsStream { ended += 1 }
      }
      for (stream, count) in expected { #expect(got[stream, default: 0] == count, "stream \(stream)") }
      #expect(await proxy.records.wait(100).allSatisfy { $0.status == 200 && !$0.isAborted })
      await proxy.stop()
    }

    /// What waits of a response is never more than buffers and sockets hold, and a stream that does not get on harms no other.
    @Test func `a client that does not grow its window stops the server`() async throws {
      let sent = Mutex(0)
      let total = 64 << 20
      let server = try TestServer { socket, _ in
        while let message = socket.readMessage() {
          guard message.head.hasPrefix("GET /large") else {
            socket.write(response("200 OK", "small"))
            continue
          }
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
          let piece = [UInt8](repeating: 0x61, count: 65536)
          for _ in 0..<(total / piece.count) {
            guard socket.write(piece) else { return }
            sent.withLock { $0 += piece.count }
          }
        }
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/large")
      var got = 0
      while got < 65535, let frame = client.read() { if frame.type == 0 { got += frame.payload.count } }
      #expect(got == 65535)
      // The connection's window is what the stream has used up; another one's is its own.
      client.grow(0, 1 << 20)
      client.request(3, "/small")
      #expect(client.response() == .init(status: "200", body: "small"))
      // It goes on until sockets and buffers are full.
      var before = -1
      while sent.withLock({ $0 }) != before {
        before = sent.withLock { $0 }
        try await Task.sleep(for: .milliseconds(300))
      }
      #expect(before < total / 2)
      client.grow(0, 1 << 30)
      client.grow(1, 1 << 30)
      while got < total, let frame = client.read(), frame.type == 0 { got += frame.payload.count }
      #expect(got == total)
      await proxy.stop()
    }

    @Test func `a server that does not read stops the client`() async throws {
      let mayRead = Mutex(false)
      let server = try TestServer { socket, _ in
        guard let head = socket.read(through: "\r\n\r\n"), head.contains("content-length: 33554432") else { return }
        while !mayRead.withLock({ $0 }) { usleep(10000) }
        let count = socket.drain(33_554_432)
        socket.write(response("200 OK", "\(count)"))
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/", method: "POST", [("content-length", "33554432")], end: false)
      // As much as the windows let through, while the server reads nothing.
      var window = 262_144
      var ofConnection = 1_048_576
      var left = 33_554_432
      let piece = [UInt8](repeating: 0x62, count: 16384)
      var sent = 0
      func send() {
        while left > 0, window >= piece.count, ofConnection >= piece.count {
          client.data(1, piece, end: left == piece.count)
          left -= piece.count
          window -= piece.count
          ofConnection -= piece.count
          sent += piece.count
        }
      }
      func grow(_ frame: HTTP2Peer.Frame) {
        let increment = Int(frame.payload.reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        if frame.stream == 0 { ofConnection += increment } else { window += increment }
      }
      var isOpened = false
      var head: HTTP2Peer.Frame?
      while head == nil {
        send()
        var waiting = pollfd(fd: client.socket.fd, events: Int16(POLLIN), revents: 0)
        if !isOpened, poll(&waiting, 1, 500) == 0 {
          // Nothing moves any more.
          #expect(sent < 33_554_432 / 2)
          isOpened = true
          mayRead.withLock { $0 = true }
        }
        guard let frame = client.readAny() else { break }
        if frame.type == 8, sent > 0 { grow(frame) }
        if frame.type == 1 { head = frame }
      }
      #expect(isOpened && head?.fields[":status"] == "200" && client.read()?.text == "33554432")
      await proxy.stop()
    }

    @Test func `resets pass both ways, and end their stream alone`() async throws {
      let aborted = Mutex(0)
      let server = try TestServer { socket, _ in
        guard let head = socket.read(through: "\r\n\r\n") else { return }
        if head.hasPrefix("GET /half") {
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        } else if head.hasPrefix("GET /wait") {
          if socket.read(count: 1) == nil { aborted.withLock { $0 += 1 } }
        } else {
          socket.write(response("200 OK", "fine"))
        }
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/half")
      #expect(client.read()?.fields[":status"] == "200")
      #expect(client.read()?.text == "half")
      let reset = try #require(client.read())
      #expect(reset.type == 3 && reset.stream == 1 && reset.code == 2)
      client.request(3, "/wait")
      client.request(5, "/fine")
      #expect(client.response() == .init(status: "200", body: "fine"))
      client.reset(3, 8)
      for _ in 0..<2000 where aborted.withLock({ $0 }) == 0 { usleep(10000) }
      #expect(aborted.withLock { $0 } == 1)
      client.request(7, "/fine")
      #expect(client.response() == .init(status: "200", body: "fine"))
      let records = await proxy.records.wait(4)
      #expect(records.filter(\.isAborted).count == 2)
      await proxy.stop()
    }

    @Test func `an answer before the end of a request ends the stream`() async throws {
      // It answers when it has the whole of a request.
      let server = try TestServer { socket, _ in
        while let head = socket.read(through: "\r\n\r\n") {
          if head.lowercased().contains("transfer-encoding"), socket.read(through: "0\r\n\r\n") == nil { return }
          socket.write(response("200 OK", "one"))
        }
      }
      let buffer: JSONValue = [
        "name": "b",
        "typed_config": [
          "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer", "max_request_bytes": 10,
        ],
      ]
      let router: JSONValue = [
        "name": "r", "typed_config": ["@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"],
      ]
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]], manager: ["http_filters": [buffer, router]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/", method: "POST", [("content-length", "1000")], end: false)
      client.data(1, "only so much")
      #expect(client.read()?.fields[":status"] == "413")
      #expect(client.read()?.endsStream == true)
      let reset = try #require(client.read())
      #expect(reset.type == 3 && reset.code == 0)
      client.request(3, "/", method: "POST", end: false)
      client.data(3, "a little")
      client.data(3, " and then too much", end: false)
      #expect(client.read()?.fields[":status"] == "413")
      client.request(5, "/")
      var frame = client.read()
      while let other = frame, other.stream == 3 { frame = client.read() }
      #expect(frame?.stream == 5 && frame?.fields[":status"] == "200")
      await proxy.stop()
    }

    @Test func `the proxy says goodbye and ends what it has begun`() async throws {
      let isAsked = Mutex(false)
      let server = try TestServer { socket, _ in
        guard socket.readMessage() != nil else { return }
        isAsked.withLock { $0 = true }
        usleep(200_000)
        socket.write(response("200 OK", "late"))
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/")
      for _ in 0..<2000 where !isAsked.withLock({ $0 }) { usleep(10000) }
      proxy.server.shutDown()
      let goAway = try #require(client.read())
      #expect(goAway.type == 7 && goAway.code == 0 && goAway.payload.prefix(4).last == 1)
      #expect(client.response() == .init(status: "200", body: "late"))
      #expect(client.readAny() == nil)
      await proxy.stop()
    }

    @Test func `a listener may speak HTTP/1 only`() async throws {
      let server = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]], manager: ["codec_type": "HTTP1"])
      #expect(proxy.ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?.head.hasPrefix("HTTP/1.1 505") == true)
      #expect(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 200") == true)
      await proxy.stop()
    }
  }
}
