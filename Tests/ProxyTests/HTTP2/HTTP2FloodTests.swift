import Addressing
import Foundation
import HTTP2
import Synchronization
import TestSupport
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Whoever sends much to no end is sent away; others are unharmed.
  @Suite(.serialized) struct HTTP2FloodTests {
    struct Flood: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var frame: @Sendable (HTTP2Peer, Int) -> [UInt8]
    }

    static let floods: [Flood] = [
      Flood(testDescription: "PING") { _, _ in HTTP2Peer.frame(6, payload: [UInt8](repeating: 0, count: 8)) },
      Flood(testDescription: "SETTINGS") { _, _ in HTTP2Peer.frame(4) },
      Flood(testDescription: "empty DATA (CVE-2019-9518)") { _, _ in HTTP2Peer.frame(0, stream: 1) },
      Flood(testDescription: "PRIORITY") { _, number in
        HTTP2Peer.frame(2, stream: UInt32(2 * number + 1), payload: [0, 0, 0, 0, 1])
      },
      Flood(testDescription: "WINDOW_UPDATE") { _, _ in HTTP2Peer.frame(8, payload: [0, 0, 0, 1]) },
      Flood(testDescription: "unknown frames") { _, _ in HTTP2Peer.frame(200) },
      Flood(testDescription: "rapid reset (CVE-2023-44487)") { peer, number in
        let stream = UInt32(2 * number + 3)
        let block = peer.block([(":method", "GET"), (":scheme", "http"), (":path", "/ok"), (":authority", "a")])
        return HTTP2Peer.frame(1, flags: 5, stream: stream, payload: block)
          + HTTP2Peer.frame(3, stream: stream, payload: [0, 0, 0, 8])
      },
      Flood(testDescription: "streams that have to be reset (CVE-2025-8671)") { peer, number in
        let stream = UInt32(2 * number + 3)
        let block = peer.block([(":method", "GET"), (":scheme", "http"), (":path", "/ok"), (":authority", "a")])
        return HTTP2Peer.frame(1, flags: 4, stream: stream, payload: block)
          + HTTP2Peer.frame(8, stream: stream, payload: [0, 0, 0, 0])
      },
    ]

    @Test func floods() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      try await Self.flood { proxy.connect() }
      await proxy.stop()
    }

    @Test func `floods of a routed connection`() async throws {
      let server = try TestServer { socket, _ in
        while let message = socket.readMessage() {
          if message.head.hasPrefix("POST") {
            _ = socket.readToEnd()
            return
          }
          socket.write(response("200 OK"))
        }
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      try await Self.flood { proxy.connect() }
      await proxy.stop()
    }

    private static func flood(_ connect: () -> TestSocket) async throws {
      let neighbour = HTTP2Peer(client: connect())
      for (index, flood) in Self.floods.enumerated() {
        let client = HTTP2Peer(client: connect())
        client.request(1, "/ok", method: "POST", end: false)
        let reader = Mutex<UInt32?>(nil)
        let done = Mutex(false)
        // Replies are read meanwhile: a flood that waits for nobody would only stop itself.
        Thread.detachNewThread {
          let code = client.read(7)?.code
          reader.withLock { $0 = code }
          done.withLock { $0 = true }
        }
        for number in 0..<40000 {
          if done.withLock({ $0 }) { break }
          guard client.socket.write(flood.frame(client, number)) else { break }
        }
        for _ in 0..<500 where !done.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(10)) }
        #expect(reader.withLock { $0 } == HTTP2ErrorCode.enhanceYourCalm.rawValue, "\(flood.testDescription)")
        neighbour.request(UInt32(2 * index + 1), "/ok")
        #expect(neighbour.response()?.status == "200")
      }
    }

    /// Go's client says every few kilobytes that it has read them.
    @Test func `many updates of windows are no flood while there is a body`() async throws {
      let total = 20_000_000
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        peer.headers(head.stream, [(":status", "200")], end: false)
        var (ofStream, ofAll, sent) = (262_144, 1_048_576, 0)
        while sent < total {
          while ofStream < 16384 || ofAll < 16384 {
            guard let frame = peer.readAny() else { return }
            let increment = Int(frame.payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
            if frame.type == 8 { if frame.stream == 0 { ofAll += increment } else { ofStream += increment } }
          }
          let count = min(16384, total - sent)
          sent += count
          ofStream -= count
          ofAll -= count
          peer.data(head.stream, [UInt8](repeating: 0x61, count: count), end: sent == total)
        }
        _ = peer.socket.readToEnd()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      #expect(client.read()?.fields[":status"] == "200")
      var count = 0
      while let frame = client.read(), frame.type == 0 {
        count += frame.payload.count
        if frame.endsStream { break }
        var updates: [UInt8] = []
        for part in stride(from: 0, to: frame.payload.count, by: 2048) {
          let increment = HTTP2Peer.octets(UInt32(min(2048, frame.payload.count - part)))
          updates += HTTP2Peer.frame(8, payload: increment) + HTTP2Peer.frame(8, stream: 1, payload: increment)
        }
        client.socket.write(updates)
      }
      #expect(count == total)
      await proxy.stop()
    }

    @Test func `a header section without end`() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      let empty = HTTP2Peer(client: proxy.connect())
      empty.write(1, stream: 1, payload: [0x82])
      for _ in 0..<100 { empty.write(9, stream: 1) }
      #expect(empty.read(7)?.code == HTTP2ErrorCode.enhanceYourCalm.rawValue)
      let large = HTTP2Peer(client: proxy.connect())
      large.write(1, stream: 1, payload: [0x82])
      for _ in 0..<8 { large.write(9, stream: 1, payload: [UInt8](repeating: 0x82, count: 16000)) }
      #expect(large.read(7)?.code == HTTP2ErrorCode.enhanceYourCalm.rawValue)
      await proxy.stop()
    }

    /// Sixteen thousand octets that say sixty million: the stream is refused, the connection lives and stays in step.
    @Test func `a header bomb is a 431`() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      let head: [UInt8] = [0x82, 0x86, 0x84, 0x41, 0x01, 0x61]
      let entry: [UInt8] = [0x40, 0x01, 0x78, 0x7F, 0xB9, 0x1E] + [UInt8](repeating: 0x61, count: 4024 - 32)
      for stream in [UInt32(1), 3] {
        client.write(
          1, flags: 5, stream: stream, payload: head + entry.dropLast(0) + [UInt8](repeating: 0xBE, count: 12000))
        let response = client.response()
        #expect(response?.status == "431")
      }
      #expect(await proxy.records.wait(2).allSatisfy { $0.status == 431 && $0.failure == "the head is too large" })
      await proxy.stop()
    }

    /// Whatever comes, the proxy answers or closes, and serves the next one.
    @Test(arguments: 0..<4) func garbage(_ seed: Int) async throws {
      var random = SeededGenerator(seed: seed)
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      for _ in 0..<60 {
        let client = HTTP2Peer(client: proxy.connect())
        var bytes: [UInt8] = []
        for number in 0..<Int.random(in: 1...30, using: &random) {
          let stream = UInt32.random(in: 0...9, using: &random)
          let count = Int.random(in: 0...40, using: &random)
          var payload = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
          if random.chance(50) {
            payload = client.block([
              (":method", "POST"), (":scheme", "http"), (":path", random.pick(["/ok", "/no"])), (":authority", "a"),
            ])
          }
          bytes += HTTP2Peer.frame(
            random.chance(60) ? random.pick([0, 1, 9]) : UInt8.random(in: 0...10, using: &random),
            flags: random.pick([0, 1, 4, 5, 8, 0x20, 0x2D]),
            stream: random.chance(50) ? UInt32(2 * number + 1) : stream,
            payload: payload)
        }
        if random.chance(30) { bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 0xFF }
        client.socket.write(bytes)
        client.socket.endWriting()
        _ = client.socket.drain()
      }
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      #expect(client.response()?.status == "200")
      let statistics = proxy.server.statistics
      #expect(statistics.openConnections <= 2)
      await proxy.stop()
    }
  }
}
