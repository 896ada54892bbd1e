import Foundation
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// How many segments messages travel in: each costs its receiver a turn.
  @Suite(.serialized) struct SegmentTests {
    /// Segments that a socket has received, as struct tcp_info of linux/tcp.h counts them.
    private struct Segments {
      var all: UInt32 = 0
      var withData: UInt32 = 0

      init(_ socket: TestSocket) {
        var info = [UInt8](repeating: 0, count: 232)
        var length = socklen_t(info.count)
        getsockopt(socket.fd, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
        info.withUnsafeBytes {
          all = $0.loadUnaligned(fromByteOffset: 140, as: UInt32.self)
          withData = $0.loadUnaligned(fromByteOffset: 152, as: UInt32.self)
        }
      }
    }

    private static let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

    @Test func headAndBodyTravelTogether() async throws {
      let atServer = Mutex<UInt32>(0)
      let server = try TestServer { socket, _ in
        while socket.readMessage() != nil {
          atServer.withLock { $0 = Segments(socket).withData }
          socket.write(Self.answer)
        }
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      for number in UInt32(1)...10 {
        client.write("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        #expect(client.readMessage()?.body == "hello")
        #expect(Segments(client).withData == number)
        #expect(atServer.withLock { $0 } == number)
      }
      await proxy.stop()
    }

    @Test func theLastResponseBringsTheEnd() async throws {
      let server = try TestServer { socket, _ in
        while socket.readMessage() != nil { socket.write(Self.answer) }
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write("GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      #expect(client.readToEnd().hasSuffix("hello"))
      // The answer to SYN, the acknowledgement of the request, the response.
      #expect(Segments(client).all <= 3)
      await proxy.stop()
    }
  }
}
