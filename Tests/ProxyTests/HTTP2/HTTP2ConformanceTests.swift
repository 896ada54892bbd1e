import Addressing
import Foundation
import HTTP2
import Testing

@testable import Proxy

extension LoopbackTests {
  /// What a client may not do, by the section of RFC 9113 that says so, and what it gets for it. Each case has a connection of
  /// its own on which stream 1 has been answered, stream 3 is half closed and stream 5 open.
  @Suite(.serialized) struct HTTP2ConformanceTests {
    enum Outcome: Sendable, Equatable {
      /// GOAWAY with one of these codes.
      case connection([HTTP2ErrorCode])
      /// RST_STREAM of a stream.
      case stream(UInt32, HTTP2ErrorCode)
      /// A PING behind it is answered.
      case nothing
    }

    struct Case: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var octets: [UInt8]
      var outcome: Outcome

      init(_ name: String, _ octets: [UInt8], _ outcome: Outcome) {
        testDescription = name
        self.octets = octets
        self.outcome = outcome
      }
    }

    private static func frame(
      _ type: UInt8, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] { HTTP2Peer.frame(type, flags: flags, stream: stream, payload: payload) }

    /// `:method GET`, `:scheme http`, `:path /`, `:authority a`.
    private static let get: [UInt8] = [0x82, 0x86, 0x84, 0x01, 0x01, 0x61]
    private static let zeros4: [UInt8] = [0, 0, 0, 0]

    static let cases: [Case] = [
      Case("4.1 an unknown type", frame(0x77, 0xFF, 0, [1, 2, 3]), .nothing),
      Case("4.2 too large a frame", [0, 0x40, 1, 0, 0, 0, 0, 0, 5], .connection([.frameSizeError])),
      Case(
        "4.3 a block that can not be decoded", frame(1, 5, 7, [0xFF, 0xFF, 0xFF]), .connection([.compressionError])),
      Case("5.1 DATA on an idle stream", frame(0, 0, 9, [0]), .connection([.protocolError])),
      Case("5.1 RST_STREAM on an idle stream", frame(3, 0, 9, zeros4), .connection([.protocolError])),
      Case("5.1 WINDOW_UPDATE on an idle stream", frame(8, 0, 9, [0, 0, 0, 1]), .connection([.protocolError])),
      Case("5.1 DATA on a half closed stream", frame(0, 0, 3, [0]), .stream(3, .streamClosed)),
      Case("5.1 HEADERS on a half closed stream", frame(1, 5, 3, get), .stream(3, .streamClosed)),
      Case("5.1 DATA on a closed stream", frame(0, 0, 1, [0]), .stream(1, .streamClosed)),
      Case("5.1 HEADERS on a closed stream", frame(1, 5, 1, get), .connection([.streamClosed])),
      Case("5.1 WINDOW_UPDATE on a closed stream", frame(8, 0, 1, [0, 0, 0, 1]), .nothing),
      Case("5.1 PRIORITY on any stream", frame(2, 0, 1, zeros4 + [1]) + frame(2, 0, 99, zeros4 + [1]), .nothing),
      Case("5.1.1 an even stream", frame(1, 5, 8, get), .connection([.protocolError])),
      Case("5.4.1 a stream that was reset", frame(3, 0, 5, [0, 0, 0, 8]) + frame(3, 0, 5, zeros4), .nothing),
      Case("6.1 DATA of no stream", frame(0, 0, 0, [0]), .connection([.protocolError])),
      Case("6.1 too much padding", frame(0, 8, 5, [9, 0]), .connection([.protocolError])),
      Case("6.2 HEADERS of no stream", frame(1, 5, 0, get), .connection([.protocolError])),
      Case(
        "6.2 a block interrupted by its own stream", frame(1, 1, 7, get) + frame(0, 0, 7, [0]),
        .connection([.protocolError])),
      Case("6.2 by another block", frame(1, 1, 7, get) + frame(1, 5, 9, get), .connection([.protocolError])),
      Case(
        "6.2 by a PING", frame(1, 1, 7, get) + frame(6, 0, 0, [UInt8](repeating: 0, count: 8)),
        .connection([.protocolError])),
      Case("6.2 by an unknown frame", frame(1, 1, 7, get) + frame(0x77), .connection([.protocolError])),
      Case("6.3 PRIORITY of no stream", frame(2, 0, 0, zeros4 + [1]), .connection([.protocolError])),
      Case("6.3 PRIORITY of four octets", frame(2, 0, 5, zeros4), .connection([.frameSizeError])),
      Case("6.4 RST_STREAM of three octets", frame(3, 0, 5, [0, 0, 0]), .connection([.frameSizeError])),
      Case("6.5 SETTINGS of a stream", frame(4, 0, 5), .connection([.protocolError])),
      Case("6.5 SETTINGS of three octets", frame(4, 0, 0, [0, 0, 0]), .connection([.frameSizeError])),
      Case("6.5 an acknowledgement with values", frame(4, 1, 0, [0, 3, 0, 0, 0, 1]), .connection([.frameSizeError])),
      Case("6.5.2 push that is neither 0 nor 1", frame(4, 0, 0, [0, 2, 0, 0, 0, 2]), .connection([.protocolError])),
      Case("6.5.2 an initial window of 2^31", frame(4, 0, 0, [0, 4, 128, 0, 0, 0]), .connection([.flowControlError])),
      Case("6.5.2 a frame size of 1", frame(4, 0, 0, [0, 5, 0, 0, 0, 1]), .connection([.protocolError])),
      Case("6.5.2 an unknown setting", frame(4, 0, 0, [0, 99, 0, 0, 0, 1]), .nothing),
      Case("6.6 a push from a client", frame(5, 4, 5, zeros4 + get), .connection([.protocolError])),
      Case("6.7 PING of a stream", frame(6, 0, 5, [UInt8](repeating: 0, count: 8)), .connection([.protocolError])),
      Case("6.7 PING of six octets", frame(6, 0, 0, [UInt8](repeating: 0, count: 6)), .connection([.frameSizeError])),
      Case("6.8 GOAWAY of a stream", frame(7, 0, 5, zeros4 + zeros4), .connection([.protocolError])),
      Case("6.9 an increment of 0", frame(8, 0, 0, zeros4), .connection([.protocolError])),
      Case("6.9 an increment of 0 for a stream", frame(8, 0, 5, zeros4), .stream(5, .protocolError)),
      Case("6.9 three octets", frame(8, 0, 0, [0, 0, 1]), .connection([.frameSizeError])),
      Case("6.9.1 too large a window", frame(8, 0, 0, [127, 255, 255, 255]), .connection([.flowControlError])),
      Case(
        "6.9.1 too large a window of a stream", frame(8, 0, 5, [127, 255, 255, 255]), .stream(5, .flowControlError)),
      Case("6.10 CONTINUATION of nothing", frame(9, 4, 5, get), .connection([.protocolError])),
      Case("6.10 of another stream", frame(1, 1, 7, get) + frame(9, 4, 9, []), .connection([.protocolError])),
      Case("8.1 trailers that do not end", frame(1, 4, 5, [0x00, 0x01, 0x61, 0x01, 0x62]), .stream(5, .protocolError)),
      Case("8.1 pseudo fields in trailers", frame(1, 5, 5, get), .stream(5, .protocolError)),
      Case("8.2.1 upper case", frame(1, 5, 7, get + [0x00, 0x01, 0x41, 0x01, 0x62]), .stream(7, .protocolError)),
      Case("8.2.2 transfer-encoding", frame(1, 5, 7, get + [0x0F, 0x2A, 0x01, 0x61]), .stream(7, .protocolError)),
      Case("8.3.1 no path", frame(1, 5, 7, [0x82, 0x86, 0x01, 0x01, 0x61]), .stream(7, .protocolError)),
      Case(
        "8.1.1 less than the content-length",
        frame(1, 4, 7, [0x82, 0x86, 0x04, 0x03] + Array("/ok".utf8) + [0x01, 0x01, 0x61, 0x0F, 0x0D, 0x01, 0x35])
          + frame(0, 1, 7, [1, 2]), .stream(7, .protocolError)),
      Case(
        "8.1.1 more than the content-length",
        frame(1, 4, 7, [0x82, 0x86, 0x04, 0x03] + Array("/ok".utf8) + [0x01, 0x01, 0x61, 0x0F, 0x0D, 0x01, 0x31])
          + frame(0, 0, 7, [1, 2]), .stream(7, .protocolError)),
    ]

    @Test func `what clients may not do`() async throws {
      let server = try TestServer.http2 { peer, _ in
        while let frame = peer.read() {
          if frame.fields[":path"] == "/ok/1" { peer.headers(frame.stream, [(":status", "204")], end: true) }
        }
      }
      let proxy = try TestProxy(server.address)
      for example in Self.cases { Self.run(example) { proxy.connect() } }
      await proxy.stop()
    }

    /// The same where each stream becomes a request of HTTP/1.
    @Test func `what clients may not do on a routed connection`() async throws {
      let server = try TestServer { socket, _ in
        guard let message = socket.readMessage(), message.head.hasPrefix("GET /ok/1 ") else {
          _ = socket.readToEnd()
          return
        }
        socket.write("HTTP/1.1 204 No Content\r\n\r\n")
      }
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      for example in Self.cases { Self.run(example) { proxy.connect() } }
      await proxy.stop()
    }

    private static func run(_ example: Case, _ connect: () -> TestSocket) {
      let client = HTTP2Peer(client: connect())
      client.request(1, "/ok/1")
      #expect(client.response()?.status == "204")
      client.request(3, "/ok/3")
      client.request(5, "/ok/5", method: "POST", end: false)
      client.socket.write(example.octets)
      client.write(6, payload: [1, 2, 3, 4, 5, 6, 7, 8])
      var outcome: Outcome?
      while outcome == nil, let frame = client.readAny() {
        switch frame.type {
        case 3: outcome = .stream(frame.stream, HTTP2ErrorCode(rawValue: frame.code) ?? .noError)
        case 6: outcome = .nothing
        case 7: outcome = .connection([HTTP2ErrorCode(rawValue: frame.code) ?? .noError])
        default: continue
        }
      }
      #expect(outcome == example.outcome, "\(example.testDescription)")
      if case .connection = example.outcome { #expect(client.socket.drain() >= 0) }
      // Others are unharmed.
      let other = HTTP2Peer(client: connect())
      other.request(1, "/ok/1")
      #expect(other.response()?.status == "204")
    }

    @Test func `3.4 settings come first`() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(proxy.connect())
      client.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
      client.request(1, "/ok")
      #expect(client.read(7)?.code == HTTP2ErrorCode.protocolError.rawValue)
      #expect(client.readAny() == nil)
      await proxy.stop()
    }

    @Test func `5.1.2 too many streams are refused, those of a server's limit too`() async throws {
      let server = try TestServer.http2(settings: [(3, 2)]) { peer, _ in
        while let frame = peer.read() {
          if frame.fields[":path"] == "/ok/now" { peer.headers(frame.stream, [(":status", "204")], end: true) }
        }
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok/now")
      // The proxy has told the server's limit before the response.
      var limits: [UInt32] = []
      while let frame = client.readAny(), frame.type != 1 {
        if frame.type == 4, frame.flags == 0 {
          for at in stride(from: 0, to: frame.payload.count, by: 6) where frame.payload[at + 1] == 3 {
            limits.append(frame.payload[(at + 2)..<(at + 6)].reduce(0) { $0 << 8 | UInt32($1) })
          }
        }
      }
      #expect(limits == [128, 2])
      for stream in [UInt32(3), 5, 7] { client.request(stream, "/ok/later") }
      let refused = client.read(3)
      #expect(refused?.stream == 7 && refused?.code == HTTP2ErrorCode.refusedStream.rawValue)
      await proxy.stop()
    }
  }
}
