import Addressing
import Foundation
import HTTP2
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Flow control goes from end to end (RFC 9113, 5.2).
  @Suite(.serialized) struct HTTP2WindowTests {
    /// A stream whose client takes nothing fills its window and no more; others go on.
    @Test func `a stream that does not get on holds up no other`() async throws {
      let total = 4_000_000
      let written = Mutex(0)
      let server = try TestServer.http2 { peer, _ in
        // As much as the proxy lets through.
        var window = 65535
        var all = 65535
        var sent = 0
        var large: UInt32 = 0
        while let frame = peer.readAny() {
          let increment = Int(frame.payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
          if frame.type == 4, frame.flags == 0 {
            window += 262_144 - 65535
            peer.write(4, flags: 1)
          }
          if frame.type == 8, frame.stream == 0 { all += increment }
          if frame.type == 8, frame.stream == large, large != 0 { window += increment }
          if frame.type == 1 {
            peer.headers(frame.stream, [(":status", "200")], end: false)
            if frame.fields[":path"] == "/ok/large" {
              large = frame.stream
            } else {
              all -= 5
              peer.data(frame.stream, "small", end: true)
            }
          }
          while large != 0, sent < total, window > 0, all > 0 {
            let count = min(16384, window, all, total - sent)
            sent += count
            window -= count
            all -= count
            peer.data(large, [UInt8](repeating: 0x61, count: count), end: sent == total)
          }
          let now = sent
          written.withLock { $0 = now }
        }
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect(), settings: [(4, 1000)])
      client.request(1, "/ok/large")
      #expect(client.read()?.fields[":status"] == "200")
      #expect(client.read()?.payload.count == 1000)
      for stream in stride(from: UInt32(3), to: 43, by: 2) {
        client.request(stream, "/ok/small")
        #expect(client.response()?.body == "small")
      }
      // What the client has, and half a window that was not worth an update.
      #expect(written.withLock { $0 } <= 262_144 + 1000)
      client.grow(0, 10_000_000)
      client.grow(1, 10_000_000)
      var count = 1000
      while let frame = client.read(), frame.type == 0 {
        count += frame.payload.count
        if frame.endsStream { break }
      }
      #expect(count == total)
      await proxy.stop()
    }

    /// The same towards a server, with padding, which counts but goes no further.
    @Test func `a request waits for the server's window`() async throws {
      let total = 500_000
      let server = try TestServer.http2(settings: [(4, 10)]) { peer, _ in
        // The window is known once something was answered.
        guard let probe = peer.read() else { return }
        peer.headers(probe.stream, [(":status", "204")], end: true)
        guard let head = peer.read(), let first = peer.read(), first.payload.count == 10 else { return }
        peer.grow(0, 1_000_000)
        var count = 10
        var isOver = false
        while !isOver {
          peer.grow(head.stream, 20000)
          var rest = 20000
          while rest > 0, !isOver, let frame = peer.read() {
            count += frame.payload.count
            rest -= frame.payload.count
            isOver = frame.endsStream
          }
        }
        peer.headers(head.stream, [(":status", "200"), ("x-count", "\(count)")], end: true)
        _ = peer.read()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok")
      #expect(client.response()?.status == "204")
      client.request(3, "/ok", method: "POST", [("content-length", "\(total)")], end: false)
      // As the proxy has said by now.
      var window = 262_144
      var all = 1_048_576
      var sent = 0
      while sent < total {
        while window < 16000 || all < 16000 {
          let frame = try #require(client.readAny())
          let increment = Int(frame.payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
          if frame.type == 8 { if frame.stream == 0 { all += increment } else { window += increment } }
        }
        let count = min(10000, total - sent)
        sent += count
        window -= count + 101
        all -= count + 101
        client.write(
          0, flags: sent == total ? 9 : 8, stream: 3, payload: [100] + [UInt8](repeating: 0x62, count: count + 100))
      }
      #expect(client.read(1)?.fields["x-count"] == "\(total)")
      await proxy.stop()
    }

    @Test func `trailers wait behind their body`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        peer.headers(head.stream, [(":status", "200")], end: false)
        peer.data(head.stream, String(repeating: "a", count: 5000))
        peer.headers(head.stream, [("grpc-status", "0")], end: true)
        _ = peer.read()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect(), settings: [(4, 0)])
      client.request(1, "/ok")
      #expect(client.read()?.fields[":status"] == "200")
      client.grow(1, 100_000)
      #expect(client.read()?.payload.count == 5000)
      let trailers = client.read()
      #expect(trailers?.fields == ["grpc-status": "0"] && trailers?.endsStream == true)
      // A denial too.
      client.settings([(4, 3)])
      client.request(3, "/no")
      #expect(client.read()?.fields[":status"] == "403")
      #expect(client.read()?.text == "Acc")
      client.grow(3, 100)
      #expect(client.read()?.text == "ess denied\r\n")
      await proxy.stop()
    }

    /// A client that does not read its socket stops its server, not the proxy.
    @Test func `a client that does not read`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        peer.headers(head.stream, [(":status", "200")], end: false)
        _ = peer.readAny()
        let chunk = HTTP2Peer.frame(0, stream: head.stream, payload: [UInt8](repeating: 0x61, count: 16384))
        for _ in 0..<16 { peer.socket.write(chunk) }
        while let frame = peer.readAny() {
          if frame.type == 8, frame.stream != 0 { for _ in 0..<8 { peer.socket.write(chunk) } }
        }
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect(), settings: [(4, 0x7FFF_FFFF)])
      client.grow(0, 0x7000_0000)
      client.request(1, "/ok")
      try await Task.sleep(for: .milliseconds(500))
      let other = HTTP2Peer(client: proxy.connect())
      other.request(1, "/no")
      #expect(other.response()?.status == "403")
      var count = 0
      while count < 20_000_000, let frame = client.read() { count += frame.payload.count }
      #expect(count >= 20_000_000)
      await proxy.stop()
    }
  }
}
