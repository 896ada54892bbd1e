import Addressing
import Foundation
import HTTP2
import ProxyRules
import Synchronization
import TestSupport
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct HTTP2FailureTests {
    @Test func `a server that does not speak HTTP/2 is a 502`() async throws {
      let server = try TestServer.echo()
      let closing = try TestServer { socket, _ in _ = socket.read(count: 24) }
      for (address, reason) in [
        (server.address, "the server does not speak HTTP/2"),
        (closing.address, "the server closed the connection before it spoke HTTP/2"),
      ] {
        let proxy = try TestProxy(address)
        let client = HTTP2Peer(client: proxy.connect())
        for number in 0..<3 {
          client.request(UInt32(2 * number + 1), "/ok")
          #expect(client.response() == .init(status: "502", body: "\(reason)\n"))
        }
        let records = await proxy.records.wait(3)
        #expect(records.allSatisfy { $0.status == 502 && $0.failure == reason })
        await proxy.stop()
      }
    }

    @Test func `a server that refuses is a 503`() async throws {
      let taken = Proxy.Socket.tcp(family: AF_INET)
      defer { close(taken) }
      #expect(Proxy.Socket.bind(taken, SocketAddress(IPAddress("127.0.0.1")!, port: 0)) == 0)
      let proxy = try TestProxy(try #require(Proxy.Socket.localAddress(taken)))
      let client = HTTP2Peer(client: proxy.connect())
      for stream in [UInt32(1), 3, 5] {
        client.request(stream, "/ok", method: "POST", end: false)
        #expect(client.response() == .init(status: "503", body: "the server refused the connection\n"))
        // The rest of the request is not wanted.
        #expect(client.read(3)?.code == HTTP2ErrorCode.noError.rawValue)
        client.data(stream, "it was on its way", end: true)
      }
      #expect(proxy.server.statistics.upstreamFailures == 3)
      await proxy.stop()
    }

    @Test func `streams are reset in both directions`() async throws {
      let resets = Mutex<[UInt32]>([])
      let server = try TestServer.http2 { peer, _ in
        while let frame = peer.read() {
          if frame.type == 3 {
            resets.withLock { $0.append(frame.code) }
          } else if frame.fields[":path"] == "/ok/begun" {
            peer.headers(frame.stream, [(":status", "200")], end: false)
            peer.data(frame.stream, "some")
            peer.reset(frame.stream, 2)
          } else if frame.fields[":path"] == "/ok/refused" {
            peer.reset(frame.stream, 7)
          } else if frame.fields[":path"] == "/ok/enough" {
            peer.headers(frame.stream, [(":status", "200")], end: false)
            peer.data(frame.stream, "enough", end: true)
            peer.reset(frame.stream, 0)
          }
        }
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok/begun")
      #expect(client.read(0)?.text == "some")
      #expect(client.read(3)?.code == 2)
      client.request(3, "/ok/refused")
      #expect(client.read(3)?.code == 7)
      // A whole response to half a request.
      client.request(5, "/ok/enough", method: "POST", end: false)
      #expect(client.response() == .init(status: "200", body: "enough"))
      #expect(client.read(3)?.code == 0)
      client.request(7, "/ok/waits")
      client.reset(7, 8)
      let records = await proxy.records.wait(4)
      #expect(records.map(\.isAborted) == [true, true, false, true])
      #expect(records.map(\.failure) == ["the server reset the stream", "the server reset the stream", "", ""])
      for _ in 0..<200 where resets.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(10)) }
      #expect(resets.withLock { $0 } == [8])
      #expect(proxy.server.statistics.upstreamConnections == 1)
      await proxy.stop()
    }

    @Test func `a server's GOAWAY is the client's`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let first = peer.read(), peer.read() != nil else { return }
        peer.goAway(first.stream)
        peer.headers(first.stream, [(":status", "200")], end: true)
        _ = peer.socket.readToEnd()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      client.request(3, "/ok")
      #expect(client.read(3).map { [$0.stream, $0.code] } == [3, 7])
      let goAway = try #require(client.read(7))
      #expect(goAway.payload.prefix(4).elementsEqual(HTTP2Peer.octets(3)) && goAway.code == 0)
      #expect(client.read()?.fields == [":status": "200"])
      #expect(client.read() == nil)
      await proxy.stop()
    }

    @Test func `a server that is lost takes its streams with it, and the next request finds another`() async throws {
      let server = try TestServer.http2 { peer, number in
        guard let first = peer.read() else { return }
        if number > 0 { return peer.headers(first.stream, [(":status", "204")], end: true) }
        peer.headers(first.stream, [(":status", "200")], end: false)
        _ = peer.read()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      #expect(client.read()?.fields == [":status": "200"])
      client.request(3, "/ok")
      var seen: [UInt32: String] = [:]
      while seen.count < 2, let frame = client.read() {
        if frame.type == 3 { seen[frame.stream] = "reset \(frame.code)" }
        if frame.type == 1 { seen[frame.stream] = frame.fields[":status"] }
      }
      #expect(seen == [1: "reset 2", 3: "502"])
      client.request(5, "/ok")
      #expect(client.read(1)?.fields == [":status": "204"])
      #expect(proxy.server.statistics.upstreamConnections == 2)
      await proxy.stop()
    }

    struct BadResponse: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var fields: [String: String]
      var body = ""
      var end = true
    }

    static let badResponses: [BadResponse] = [
      BadResponse(testDescription: "no status", fields: ["a": "b"]),
      BadResponse(testDescription: "101", fields: [":status": "101"]),
      BadResponse(testDescription: "connection field", fields: [":status": "200", "connection": "close"]),
      BadResponse(testDescription: "upper case", fields: [":status": "200", "X": "y"]),
      BadResponse(testDescription: "no body but a length", fields: [":status": "200", "content-length": "5"]),
    ]

    @Test(arguments: badResponses) func `malformed responses are a 502`(_ bad: BadResponse) async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        let pseudo = bad.fields.filter { $0.key.hasPrefix(":") }
        let fields =
          pseudo.map { ($0.key, $0.value) } + bad.fields.filter { pseudo[$0.key] == nil }.map { ($0.key, $0.value) }
        peer.headers(head.stream, fields, end: true)
        _ = peer.socket.readToEnd()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      #expect(client.response()?.status == "502")
      #expect(await proxy.records.wait(1).first?.failure.isEmpty == false)
      await proxy.stop()
    }

    @Test func `a drained proxy says so and lets streams end`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        Thread.sleep(forTimeInterval: 0.5)
        peer.headers(head.stream, [(":status", "200")], end: true)
        _ = peer.socket.readToEnd()
      }
      let proxy = try TestProxy(server.address) { $0.drain = .seconds(5) }
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      try await Task.sleep(for: .milliseconds(200))
      proxy.server.shutDown()
      #expect(client.read(7)?.code == 0)
      #expect(client.read()?.fields == [":status": "200"])
      #expect(client.read() == nil)
      await proxy.stop()
    }

    @Test func `what takes too long ends`() async throws {
      let server = try TestServer.http2 { peer, _ in
        while let frame = peer.read() {
          if frame.fields[":path"] == "/ok/begin" { peer.headers(frame.stream, [(":status", "200")], end: false) }
        }
      }
      let proxy = try TestProxy(server.address) {
        $0.timeouts.stall = .milliseconds(300)
        $0.timeouts.requestHead = .milliseconds(300)
        $0.timeouts.idle = .milliseconds(700)
      }
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      #expect(client.response() == .init(status: "504", body: "the server did not answer in time\n"))
      client.request(3, "/ok", method: "POST", end: false)
      #expect(client.response() == .init(status: "408", body: "the request did not end in time\n"))
      client.request(5, "/ok/begin")
      #expect(client.read(1)?.stream == 5)
      #expect(client.read(3)?.stream == 5)
      // And then nothing.
      #expect(client.read(7)?.code == 0)
      #expect(client.read() == nil)
      // Half a frame.
      let slow = HTTP2Peer(client: proxy.connect())
      slow.socket.write([0, 0, 10, 1])
      #expect(slow.read(7)?.code == 0)
      #expect(slow.read() == nil)
      await proxy.stop()
    }
  }
}
