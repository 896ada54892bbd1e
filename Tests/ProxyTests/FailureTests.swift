import Addressing
import Foundation
import ProxyRules
import TestSupport
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct FailureTests {
    static let get = "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test func refusedUpstreamIs503AndTheConnectionLives() async throws {
      // A port that is taken and where nobody listens.
      let taken = Proxy.Socket.tcp(family: AF_INET)
      defer { close(taken) }
      #expect(Proxy.Socket.bind(taken, SocketAddress(IPAddress("127.0.0.1")!, port: 0)) == 0)
      let proxy = try TestProxy(try #require(Proxy.Socket.localAddress(taken)))
      let client = proxy.connect()
      for _ in 0..<3 {
        client.write(Self.get)
        let answer = try #require(client.readMessage())
        #expect(answer.head.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(answer.body == "the server refused the connection\n")
      }
      #expect(proxy.server.statistics.upstreamFailures == 3)
      await proxy.stop()
    }

    struct BadServer: Sendable, CustomTestStringConvertible {
      let testDescription: String
      let answer: String
      let status: Int
    }

    @Test(arguments: [
      BadServer(testDescription: "closes at once", answer: "", status: 502),
      BadServer(testDescription: "half a head", answer: "HTTP/1.1 200 OK\r\nConte", status: 502),
      BadServer(testDescription: "not HTTP", answer: "hello\r\n\r\n", status: 502),
      BadServer(
        testDescription: "ambiguous framing",
        answer: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", status: 502),
      BadServer(testDescription: "switches unasked", answer: "HTTP/1.1 101 Go\r\n\r\n", status: 502),
    ])
    func badResponses(_ bad: BadServer) async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write(bad.answer)
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write(Self.get)
      #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 \(bad.status) ") == true)
      await proxy.stop()
    }

    @Test(arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort!\r\n0\r\n\r\n",
    ])
    func truncatedResponsesEndTheConnection(_ answer: String) async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write(answer)
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write(Self.get + Self.get)
      let got = client.readToEnd()
      #expect(got.components(separatedBy: "HTTP/1.1").count <= 2)
      #expect(!got.hasSuffix("0\r\n\r\n"))
      #expect(await proxy.records.wait(1).first?.isAborted == true)
      await proxy.stop()
    }

    @Test func aServerThatClosesBetweenRequestsIsAskedAgain() async throws {
      // Every connection serves one request and is then closed without a word, at once or when the next one comes.
      for waits in [false, true] {
        let server = try TestServer { socket, number in
          _ = socket.readMessage()
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(number % 10)")
          if waits { _ = socket.read(count: 1) }
        }
        let proxy = try TestProxy(server.address)
        let client = proxy.connect()
        for number in 0..<30 {
          client.write(Self.get)
          #expect(client.readMessage()?.body == "\(number % 10)")
        }
        #expect(proxy.server.statistics.upstreamConnections == 30)
        await proxy.stop()
      }
    }

    @Test func aRequestWithABodyIsNotSentTwice() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.readMessage()
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        _ = socket.read(count: 1)
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write(Self.get)
      _ = client.readMessage()
      client.write("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
      #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 502 ") == true)
      #expect(proxy.server.statistics.upstreamConnections == 1)
      await proxy.stop()
    }

    @Test func octetsBehindAResponseAreNeverAnAnswer() async throws {
      let server = try TestServer { socket, number in
        while socket.readMessage() != nil {
          let evil = number == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" : ""
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood\(evil)")
        }
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      for _ in 0..<3 {
        client.write(Self.get)
        #expect(client.readMessage()?.body == "good")
      }
      await proxy.stop()
    }

    @Test func anEarlyAnswerReachesAClientThatStillSends() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        socket.endWriting()
        Thread.sleep(forTimeInterval: 0.2)
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
      client.write([UInt8](repeating: 120, count: 100_000))
      #expect(client.readMessage()?.body == "big")
      await proxy.stop()
    }

    @Test func timeLimits() async throws {
      let server = try TestServer { socket, _ in _ = socket.readToEnd() }
      let proxy = try TestProxy(server.address) {
        $0.timeouts.requestHead = .milliseconds(200)
        $0.timeouts.stall = .milliseconds(300)
        $0.timeouts.idle = .milliseconds(400)
      }
      let slow = proxy.connect()
      slow.write("GET /ok HT")
      #expect(slow.readToEnd().hasPrefix("HTTP/1.1 408 "))
      let silent = proxy.connect()
      silent.write(Self.get)
      #expect(silent.readToEnd().hasPrefix("HTTP/1.1 504 "))
      let idle = proxy.connect()
      #expect(idle.readToEnd() == "")
      let body = proxy.connect()
      body.write("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
      #expect(body.readToEnd().hasPrefix("HTTP/1.1 408 "))
      await proxy.stop()
    }

    @Test func clientsThatVanishLeaveNothing() async throws {
      let server = try TestServer { socket, _ in _ = socket.readToEnd() }
      let proxy = try TestProxy(server.address)
      let beginnings = [
        "", "GET", Self.get, "POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
        "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
      ]
      for beginning in beginnings {
        for resets in [false, true] {
          let client = proxy.connect()
          client.write(beginning)
          try await Task.sleep(for: .milliseconds(20))
          if resets { client.reset() }
        }
      }
      for _ in 0..<1000 where proxy.server.statistics.openConnections > 0 {
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(proxy.server.statistics.openConnections == 0)
      await proxy.stop()
    }

    @Test func aNewTableJudgesLivingConnections() async throws {
      let server = try TestServer.echo()
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      func status() throws -> String {
        client.write(Self.get)
        return String(try #require(client.readMessage()).head.dropFirst(9).prefix(3))
      }
      #expect(try status() == "200")
      let closed = ProxyConfiguration(
        generation: 2, ruleSets: [RuleSet(id: 1, rules: .http([HTTPRule(id: 1, path: "/x")]))])
      proxy.server.rules.replace(with: try RuleSetTable(closed))
      #expect(try status() == "403")
      proxy.server.rules.replace(with: try RuleSetTable(TestProxy.configuration))
      #expect(try status() == "200")
      proxy.server.rules.replace(with: .empty)
      #expect(try status() == "403")
      await proxy.stop()
    }

    @Test func stopLetsAnExchangeFinish() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.readMessage()
        Thread.sleep(forTimeInterval: 0.4)
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        _ = socket.readToEnd()
      }
      let proxy = try TestProxy(server.address)
      let idle = proxy.connect()
      let busy = proxy.connect()
      busy.write(Self.get)
      try await Task.sleep(for: .milliseconds(100))
      async let stopped: Void = proxy.stop()
      #expect(idle.readToEnd() == "")
      #expect(busy.readMessage()?.body == "late")
      #expect(busy.readToEnd() == "")
      _ = busy
      await stopped
    }

    @Test func recordsGoToASocketAndLossIsCounted() async throws {
      let directory = try TemporaryDirectory("proxy")
      let path = directory.path + "/access.sock"
      let server = try TestServer.echo()
      let proxy = try TestProxy(server.address) { $0.accessSink = .socket(path: path) }
      let client = proxy.connect()
      client.write(Self.get)
      _ = client.readMessage()
      for _ in 0..<1000 where proxy.server.statistics.lostAccessRecords == 0 {
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(proxy.server.statistics.lostAccessRecords == 1)
      let receiver = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
      defer { close(receiver) }
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(receiver, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      #expect(bound == 0)
      try await Task.sleep(for: .milliseconds(300))
      client.write("GET /ok/recorded HTTP/1.1\r\nHost: a\r\n\r\n")
      _ = client.readMessage()
      var datagram = [UInt8](repeating: 0, count: 65536)
      let count = recv(receiver, &datagram, datagram.count, 0)
      let records = datagram.withUnsafeBytes {
        ProxyRecord.decode(UnsafeRawBufferPointer(rebasing: $0[..<max(0, count)])).compactMap { record in
          if case .http(let request) = record { request } else { nil }
        }
      }
      #expect(records.map(\.path) == ["/ok/recorded"])
      #expect(records.first?.client.address == IPAddress("127.0.0.1"))
      await proxy.stop()
    }
  }
}
