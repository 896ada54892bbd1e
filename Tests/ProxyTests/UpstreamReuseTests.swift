import Addressing
import Foundation
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Connections to servers that outlive those of clients. One worker, as each keeps its own.
  @Suite(.serialized) struct UpstreamReuseTests {
    static let get = "GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"
    static let lastGet = "GET /ok HTTP/1.1\r\nConnection: Close\r\nHost: a\r\n\r\n"

    final class Revision: ConnectionResolver {
      let current = Atomic<UInt32>(1)
      var revision: UInt32 { current.load(ordering: .acquiring) }

      func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
        var policy = TestProxy.policy
        policy.revision = revision
        return policy
      }
    }

    private func proxy(_ server: TestServer, _ change: (inout ProxyOptions) -> Void = { _ in }) throws -> TestProxy {
      try TestProxy(server.address) {
        $0.workers = 1
        change(&$0)
      }
    }

    /// One request over a connection of its own; the answer's body.
    private func ask(_ proxy: TestProxy, _ request: String = Self.get) -> String? {
      proxy.connect().asking(request)?.body
    }

    /// Until the worker has seen that a client is gone.
    private func untilClosed(_ proxy: TestProxy) async {
      for _ in 0..<4000 where proxy.server.statistics.openConnections > 0 {
        try? await Task.sleep(for: .milliseconds(5))
      }
    }

    @Test(arguments: [get, lastGet])
    func theNextClientUsesTheLastOnesConnection(_ request: String) async throws {
      let server = try TestServer.echo()
      let proxy = try proxy(server)
      for _ in 0..<20 {
        #expect(ask(proxy, request) == "GET /ok HTTP/1.1 #0 ")
        await untilClosed(proxy)
      }
      #expect(proxy.server.statistics.upstreamConnections == 1)
      #expect(proxy.server.statistics.upstreamReuses == 19)
      await proxy.stop()
    }

    @Test func closeIsBetweenClientAndProxy() async throws {
      let heads = Mutex<[String]>([])
      let server = try TestServer { socket, _ in
        while let message = socket.readMessage() {
          heads.withLock { $0.append(message.head) }
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
      }
      let proxy = try proxy(server)
      let client = proxy.connect()
      client.write(Self.lastGet)
      #expect(client.readToEnd() == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nok")
      #expect(heads.withLock { $0 } == ["GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"])
      let record = try #require(await proxy.records.wait(1).first)
      #expect(record.host == "a")
      await proxy.stop()
    }

    @Test(arguments: [
      "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\n\r\n",
      "GET /ok HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
      "POST /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
      "GET /ok HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n",
    ])
    func otherRequestsThatCloseStayAsTheyAre(_ request: String) async throws {
      let server = try TestServer { socket, _ in
        guard let message = socket.readMessage() else { return }
        let body = message.head + message.body
        socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      }
      let proxy = try proxy(server)
      #expect(ask(proxy, request) == request)
      await proxy.stop()
    }

    @Test func anotherClientAddressGetsItsOwn() async throws {
      let server = try TestServer.echo()
      let proxy = try proxy(server)
      for (number, from) in ["127.0.0.2", "127.0.0.3", "127.0.0.2"].enumerated() {
        let fd = Proxy.Socket.tcp(family: AF_INET)
        #expect(Proxy.Socket.bind(fd, SocketAddress(IPAddress(from)!, port: 0)) == 0)
        #expect(Proxy.Socket.connect(fd, proxy.address) == 0)
        #expect(TestSocket(adopting: fd).asking(Self.get)?.body == "GET /ok HTTP/1.1 #\(number % 2) ")
        await untilClosed(proxy)
      }
      await proxy.stop()
    }

    @Test func aNewRevisionEndsWhatWaits() async throws {
      let ended = Mutex(0)
      let server = try TestServer { socket, _ in
        while socket.readMessage() != nil { socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
        ended.withLock { $0 += 1 }
      }
      let resolver = Revision()
      let proxy = try TestProxy(server.address, resolver: resolver) { $0.workers = 1 }
      #expect(ask(proxy) == "")
      await untilClosed(proxy)
      resolver.current.add(1, ordering: .releasing)
      #expect(ask(proxy) == "")
      #expect(proxy.server.statistics.upstreamConnections == 2)
      try await Task.sleep(for: .milliseconds(300))
      #expect(ended.withLock { $0 } == 1)
      await proxy.stop()
    }

    @Test func whatWaitsTooLongEnds() async throws {
      let ended = Mutex(0)
      let server = try TestServer { socket, _ in
        while socket.readMessage() != nil { socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
        ended.withLock { $0 += 1 }
      }
      let proxy = try proxy(server) { $0.timeouts.upstreamIdle = .milliseconds(100) }
      #expect(ask(proxy) == "")
      for _ in 0..<4000 where ended.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(5)) }
      #expect(ended.withLock { $0 } == 1)
      await proxy.stop()
    }

    @Test(arguments: [
      "POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "PUT /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    ])
    func whatMayNotBeRepeatedGetsANewConnection(_ request: String) async throws {
      let server = try TestServer.echo()
      let proxy = try proxy(server)
      #expect(ask(proxy)?.contains("#0") == true)
      await untilClosed(proxy)
      #expect(ask(proxy, request)?.contains("#1") == true)
      await proxy.stop()
    }

    @Test(arguments: ["NTLM TlRM", "negotiate YII"])
    func credentialsOfAConnectionStayWithTheClients(_ credentials: String) async throws {
      let server = try TestServer.echo()
      let proxy = try proxy(server)
      #expect(ask(proxy)?.contains("#0") == true)
      await untilClosed(proxy)
      let request = "GET /ok HTTP/1.1\r\nHost: a\r\nAuthorization: \(credentials)\r\n\r\n"
      #expect(ask(proxy, request)?.contains("#1") == true)
      await untilClosed(proxy)
      #expect(ask(proxy)?.contains("#0") == true)
      await proxy.stop()
    }

    /// A server that closes after each answer: at once, or when the next request comes.
    @Test(arguments: [false, true])
    func aClosedConnectionIsNotNoticed(_ waits: Bool) async throws {
      let server = try TestServer { socket, number in
        _ = socket.readMessage()
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(number % 10)")
        if waits { _ = socket.read(count: 1) }
      }
      let proxy = try proxy(server)
      for number in 0..<20 {
        #expect(ask(proxy) == "\(number % 10)")
        await untilClosed(proxy)
      }
      #expect(proxy.server.statistics.upstreamConnections == 20)
      await proxy.stop()
    }

    /// What a server says unasked must not become the next client's answer.
    @Test func unaskedOctetsEndTheConnection() async throws {
      let server = try TestServer { socket, number in
        while socket.readMessage() != nil {
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(number)")
          usleep(50_000)
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        }
      }
      let proxy = try proxy(server)
      for number in 0..<3 {
        #expect(ask(proxy) == "\(number)")
        try await Task.sleep(for: .milliseconds(150))
      }
      await proxy.stop()
    }

    @Test func manyAtOnceKeepNoMoreThanTheLimit() async throws {
      let server = try TestServer.echo()
      let proxy = try proxy(server)
      let clients = (0..<ParkedConnections.limitPerKey + 8).map { _ in proxy.connect() }
      for client in clients { client.write(Self.get) }
      for client in clients { #expect(client.readMessage() != nil) }
      for client in clients { client.reset() }
      for client in clients { client.endWriting() }
      await untilClosed(proxy)
      let again = clients.map { _ in proxy.connect() }
      for client in again { client.write(Self.get) }
      for client in again { #expect(client.readMessage() != nil) }
      #expect(proxy.server.statistics.upstreamReuses == UInt64(ParkedConnections.limitPerKey))
      await proxy.stop()
    }
  }
}

extension TestSocket {
  /// Sends a request and reads its answer.
  func asking(_ request: String) -> (head: String, body: String)? {
    write(request)
    return readMessage()
  }
}
