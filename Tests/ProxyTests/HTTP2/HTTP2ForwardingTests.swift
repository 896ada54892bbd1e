import Addressing
import Foundation
import HTTP2
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct HTTP2ForwardingTests {
    @Test(arguments: ["127.0.0.1", "::1"])
    func `requests of one connection are judged one by one`(_ host: String) async throws {
      let server = try TestServer.http2Echo(host)
      let proxy = try TestProxy(server.address, host: host)
      let client = HTTP2Peer(client: proxy.connect())
      for number in 0..<20 {
        client.request(UInt32(4 * number + 1), "/ok/\(number)")
        #expect(client.response() == .init(status: "200", body: "GET /ok/\(number) a #0"))
        client.request(UInt32(4 * number + 3), "/no/\(number)")
        #expect(client.response() == .init(status: "403", body: "Access denied\r\n"))
      }
      let records = await proxy.records.wait(40)
      #expect(records.count == 40 && records.allSatisfy { $0.isHTTP2 && !$0.isAborted && $0.host == "a" })
      #expect(records.filter { $0.status == 200 && $0.rule == 11 && $0.path.hasPrefix("/ok/") }.count == 20)
      #expect(records.filter { $0.status == 403 && $0.isDenied && $0.path.hasPrefix("/no/") }.count == 20)
      #expect(proxy.server.statistics.upstreamConnections == 1)
      #expect(proxy.server.statistics.deniedRequests == 20)
      await proxy.stop()
    }

    @Test func `many streams go over one connection`() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      let streams = (0..<100).map { UInt32(2 * $0 + 1) }
      for stream in streams { client.request(stream, "/ok/\(stream)", method: "POST", end: false) }
      for stream in streams.reversed() { client.data(stream, "body \(stream)", end: true) }
      var bodies: [UInt32: String] = [:]
      while bodies.count < streams.count, let frame = client.read() {
        if frame.type == 0 { bodies[frame.stream] = frame.text }
      }
      for stream in streams { #expect(bodies[stream] == "POST /ok/\(stream) a body \(stream) #0") }
      #expect(proxy.server.statistics.upstreamConnections == 1)
      await proxy.stop()
    }

    /// As gRPC talks: both sides in turn, and a status behind the body.
    @Test func `both sides talk until both have ended`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read(), head.fields["te"] == "trailers" else { return }
        peer.headers(head.stream, [(":status", "200"), ("content-type", "application/grpc")], end: false)
        while let frame = peer.read(), frame.type == 0, !frame.endsStream {
          peer.data(head.stream, "echo " + frame.text)
        }
        peer.headers(head.stream, [("grpc-status", "0"), ("grpc-message", "done")], end: true)
        _ = peer.read()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok/Chat", method: "POST", [("te", "trailers")], end: false)
      #expect(client.read()?.fields["content-type"] == "application/grpc")
      for number in 0..<50 {
        client.data(1, "message \(number)")
        #expect(client.read()?.text == "echo message \(number)")
      }
      client.data(1, "", end: true)
      let trailers = try #require(client.read())
      #expect(
        trailers.type == 1 && trailers.endsStream && trailers.fields == ["grpc-status": "0", "grpc-message": "done"])
      let record = try #require(await proxy.records.wait(1).first)
      #expect(record.status == 200 && record.method == "POST" && record.path == "/ok/Chat" && !record.isAborted)
      await proxy.stop()
    }

    @Test func `trailers of a request, interim responses and HEAD`() async throws {
      let server = try TestServer.http2 { peer, _ in
        guard let head = peer.read() else { return }
        peer.headers(head.stream, [(":status", "103"), ("link", "</a>")], end: false)
        _ = peer.read()
        guard let trailers = peer.read() else { return }
        peer.headers(head.stream, [(":status", "200"), ("x-seen", trailers.fields["x-sum"] ?? "")], end: true)
        guard let second = peer.read() else { return }
        peer.headers(second.stream, [(":status", "200"), ("content-length", "1000")], end: true)
        _ = peer.read()
      }
      let proxy = try TestProxy(server.address)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok", method: "POST", end: false)
      #expect(client.read()?.fields == [":status": "103", "link": "</a>"])
      client.data(1, "abc")
      client.headers(1, [("x-sum", "7")], end: true)
      #expect(client.read()?.fields == [":status": "200", "x-seen": "7"])
      client.request(3, "/ok", method: "HEAD")
      let head = try #require(client.read())
      #expect(head.endsStream && head.fields["content-length"] == "1000")
      await proxy.stop()
    }

    /// The worst of networks.
    @Test func `one octet at a time`() async throws {
      let server = try TestServer.http2Echo()
      let proxy = try TestProxy(server.address)
      let socket = proxy.connect()
      let client = HTTP2Peer(socket)
      var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + HTTP2Peer.frame(4)
      let block = client.block([(":method", "POST"), (":scheme", "http"), (":path", "/ok"), (":authority", "a")])
      bytes += HTTP2Peer.frame(1, stream: 1, payload: Array(block.prefix(3)))
      bytes +=
        HTTP2Peer.frame(9, stream: 1, payload: [])
        + HTTP2Peer.frame(9, flags: 4, stream: 1, payload: Array(block.dropFirst(3)))
      bytes += HTTP2Peer.frame(0, flags: 9, stream: 1, payload: [3] + Array("body".utf8) + [0, 0, 0])
      for octet in bytes { socket.write([octet]) }
      #expect(client.response() == .init(status: "200", body: "POST /ok a body #0"))
      await proxy.stop()
    }

    /// A request line that only begins as the preface does is one of HTTP/1.
    @Test func `the first octets tell`() async throws {
      let server = try TestServer.echo()
      let proxy = try TestProxy(server.address)
      for method in ["POST", "PUT", "P", "PRI"] {
        let client = proxy.connect()
        client.write("\(method) /no HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 403") == true)
      }
      let client = proxy.connect()
      client.write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
      #expect(client.readToEnd().hasPrefix("HTTP/1.1 505 "))
      await proxy.stop()
    }

    @Test func `rules on headers see fields and host, and change them`() async throws {
      let configuration = ProxyConfiguration(
        generation: 1,
        ruleSets: [
          RuleSet(
            id: 1,
            rules: .http([
              HTTPRule(
                id: 21, path: "/ok", host: "a", headerMatches: [HTTPHeaderMatch(name: "X-Token", value: "1")]),
              HTTPRule(
                id: 22, path: "/fix",
                headerMatches: [
                  HTTPHeaderMatch(name: "X-Set", value: "good", mismatch: .replace),
                  HTTPHeaderMatch(name: "X-Add", value: "more", mismatch: .add),
                ]),
            ]))
        ])
      let server = try TestServer.http2 { peer, _ in
        while let head = peer.read() {
          peer.headers(
            head.stream,
            [(":status", "200"), ("x-seen", "\(head.fields["x-set"] ?? "-") \(head.fields["x-add"] ?? "-")")], end: true
          )
        }
      }
      let proxy = try TestProxy(server.address, configuration: configuration)
      let client = HTTP2Peer(client: proxy.connect())
      client.request(1, "/ok", [("x-token", "1")])
      #expect(client.response()?.status == "200")
      client.request(3, "/ok", [("x-token", "2")])
      #expect(client.response()?.status == "403")
      client.request(5, "/fix", [("x-set", "bad")])
      #expect(client.read()?.fields["x-seen"] == "good more")
      let records = await proxy.records.wait(3)
      #expect(records.last?.rule == 22 && records.last?.mismatches == 3)
      await proxy.stop()
    }

    @Test func `two rule sets must both allow`() async throws {
      let server = try TestServer.http2Echo()
      let configuration = ProxyConfiguration(
        generation: 1,
        ruleSets: [
          RuleSet(id: 1, rules: .http([HTTPRule(id: 11, path: "/ok.*")])),
          RuleSet(id: 2, rules: .http([HTTPRule(id: 12, path: "/.*y")])),
        ])
      let policy = ConnectionPolicy(
        proxyRules: 1, egressProxyRules: 2, sourceIdentity: 1001, destinationIdentity: 1002)
      let proxy = try TestProxy(server.address, policy: policy, configuration: configuration)
      let client = HTTP2Peer(client: proxy.connect())
      for (index, (path, status)) in [("/ok/y", "200"), ("/ok/n", "403"), ("/no/y", "403")].enumerated() {
        client.request(UInt32(2 * index + 1), path)
        #expect(client.response()?.status == status, "\(path)")
      }
      await proxy.stop()
    }
  }
}
