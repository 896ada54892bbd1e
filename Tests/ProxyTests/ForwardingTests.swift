import Addressing
import Foundation
import ProxyRules
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct ForwardingTests {
    static func get(_ path: String, _ fields: String = "") -> String {
      "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func keepalive(_ host: String) async throws {
      let server = try TestServer.echo(host)
      let proxy = try TestProxy(server.address, host: host)
      let client = proxy.connect()
      for number in 0..<50 {
        client.write(Self.get("/ok/\(number)"))
        #expect(client.readMessage()?.body == "GET /ok/\(number) HTTP/1.1 #0 ")
      }
      let records = await proxy.records.wait(50)
      #expect(records.count == 50)
      #expect(records.allSatisfy { $0.rule == 11 && $0.status == 200 && $0.method == "GET" && $0.host == "a" })
      #expect(records.last?.path == "/ok/49")
      #expect(records.last?.sourceIdentity == 1001)
      #expect(proxy.server.statistics.upstreamConnections == 1)
      await proxy.stop()
    }

    @Test func deniedAndAllowedOnOneConnection() async throws {
      let server = try TestServer.echo()
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      for number in 0..<20 {
        client.write(Self.get("/no/\(number)"))
        let denied = try #require(client.readMessage())
        #expect(denied.head.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
        #expect(denied.body == "Access denied\r\n")
        client.write("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /")
        #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 403") == true)
        client.write("POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 403") == true)
        client.write(Self.get("/ok/\(number)"))
        #expect(client.readMessage()?.body == "GET /ok/\(number) HTTP/1.1 #0 ")
      }
      let records = await proxy.records.wait(80)
      #expect(records.filter(\.isDenied).count == 60)
      #expect(records.filter(\.isDenied).allSatisfy { $0.rule == 0 && $0.status == 403 })
      #expect(proxy.server.statistics.deniedRequests == 60)
      await proxy.stop()
    }

    @Test func pipelining() async throws {
      let server = try TestServer.echo()
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      let count = 300
      client.write((0..<count).map { Self.get($0 % 3 == 2 ? "/no/\($0)" : "/ok/\($0)") }.joined())
      for number in 0..<count {
        let message = try #require(client.readMessage())
        #expect(message.body == (number % 3 == 2 ? "Access denied\r\n" : "GET /ok/\(number) HTTP/1.1 #0 "))
      }
      await proxy.stop()
    }

    @Test func bytesPassUntouched() async throws {
      let server = try TestServer { socket, _ in
        let head = socket.read(through: "\r\n\r\n") ?? ""
        let body = socket.read(through: "0\r\nT: z\r\n\r\n") ?? ""
        let all = head + body
        socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX-a:  b\r\n\r\n")
        socket.write("\(String(all.utf8.count, radix: 16));x=1\r\n\(all)\r\n0\r\nTrailer: t\r\n\r\n")
        _ = socket.readToEnd()
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      let request =
        "POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: x, y\r\n\r\n"
        + "5;a=b\r\nhello\r\n0\r\nT: z\r\n\r\n"
      // One octet at a time: the worst of networks.
      for octet in request.utf8 { client.write([octet]) }
      let expected =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX-a:  b\r\n\r\n"
        + "\(String(request.utf8.count, radix: 16));x=1\r\n\(request)\r\n0\r\nTrailer: t\r\n\r\n"
      #expect(client.read(count: expected.utf8.count).map { String(decoding: $0, as: UTF8.self) } == expected)
      await proxy.stop()
    }

    @Test func expectContinue() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write("HTTP/1.1 100 Continue\r\n\r\n")
        let body = socket.read(count: 5) ?? []
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n" + String(decoding: body, as: UTF8.self))
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write("POST /ok HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
      client.write("hello")
      #expect(client.readMessage()?.body == "hello")
      let denied = proxy.connect()
      denied.write("POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
      let answer = denied.readToEnd()
      #expect(answer.hasPrefix("HTTP/1.1 403") && answer.contains("connection: close"))
      await proxy.stop()
    }

    @Test func headAndEmptyStatuses() async throws {
      let server = try TestServer { socket, _ in
        while let message = socket.readMessage() {
          if message.head.hasPrefix("HEAD") {
            socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
          } else if message.head.contains("/ok/304") {
            socket.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
          } else {
            socket.write("HTTP/1.1 204 No Content\r\n\r\n")
          }
        }
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      for _ in 0..<5 {
        client.write("HEAD /ok HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.read(through: "\r\n\r\n")?.contains("200 OK") == true)
        client.write(Self.get("/ok/304"))
        #expect(client.read(through: "\r\n\r\n")?.contains("304") == true)
        client.write(Self.get("/ok/204"))
        #expect(client.read(through: "\r\n\r\n")?.contains("204") == true)
        client.write("HEAD /no HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.read(through: "\r\n\r\n")?.contains("403") == true)
      }
      await proxy.stop()
    }

    @Test func upgradeKeepsHalfClose() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
        let said = socket.readToEnd()
        socket.write("you said \(said)")
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write(Self.get("/ws", "Upgrade: websocket\r\nConnection: Upgrade\r\n") + "early")
      #expect(client.read(through: "\r\n\r\n")?.hasPrefix("HTTP/1.1 101") == true)
      #expect(client.read(count: 5).map { String(decoding: $0, as: UTF8.self) } == "hello")
      client.write("\0GET /no HTTP/1.1\r\n\r\n")
      client.endWriting()
      #expect(client.readToEnd() == "you said early\0GET /no HTTP/1.1\r\n\r\n")
      let record = await proxy.records.wait(1).first
      #expect(record?.status == 101 && record?.rule == 12)
      await proxy.stop()
    }

    @Test func connectIsATunnel() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write("HTTP/1.1 200 OK\r\n\r\n")
        socket.write("got \(socket.readToEnd())")
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n") == "HTTP/1.1 200 OK\r\n\r\n")
      client.write("anything\n")
      client.endWriting()
      #expect(client.readToEnd() == "got anything\n")
      await proxy.stop()
    }

    @Test func upgradeToHTTP2IsCutOut() async throws {
      let server = try TestServer { socket, _ in
        let head = socket.read(through: "\r\n\r\n") ?? ""
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(head.utf8.count)\r\n\r\n\(head)")
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write(Self.get("/ok", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nX: y\r\n"))
      #expect(
        client.readMessage()?.body
          == "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nX: y\r\n\r\n")
      await proxy.stop()
    }

    @Test func malformedRequestsNeverReachTheServer() async throws {
      let server = try TestServer.echo()
      let proxy = try TestProxy(
        server.address, policy: ConnectionPolicy(proxyRules: 0, sourceIdentity: 0, destinationIdentity: 0))
      for scenario in SmugglingCorpus.framing + SmugglingCorpus.lines + SmugglingCorpus.hosts + SmugglingCorpus.targets
      {
        let client = proxy.connect()
        client.write(scenario.stream)
        let answer = client.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 \(scenario.fault.requestStatus) "), "\(scenario.name): \(answer)")
      }
      for scenario in SmugglingCorpus.chunks {
        let client = proxy.connect()
        client.write(scenario.stream)
        let answer = client.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(scenario.name): \(answer)")
      }
      #expect(proxy.server.statistics.responses[2] == 0)
      let all =
        SmugglingCorpus.framing + SmugglingCorpus.lines + SmugglingCorpus.hosts + SmugglingCorpus.targets
        + SmugglingCorpus.chunks
      let records = await proxy.records.wait(all.count)
      // Each worker sends its own, so their order is not that of the requests.
      #expect(records.map(\.failure).sorted() == all.map { "\($0.fault)" }.sorted())
      #expect(records.allSatisfy { !$0.failure.isEmpty && !$0.isDenied && $0.status >= 400 })
      await proxy.stop()
    }

    @Test func untilCloseAndOldVersion() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write("HTTP/1.0 200 OK\r\n\r\nall of it")
      }
      let proxy = try TestProxy(server.address)
      for version in ["1.0", "1.1"] {
        let client = proxy.connect()
        client.write("GET /ok HTTP/\(version)\r\nHost: a\r\n\r\n")
        #expect(client.readToEnd() == "HTTP/1.0 200 OK\r\n\r\nall of it")
      }
      await proxy.stop()
    }
  }
}
