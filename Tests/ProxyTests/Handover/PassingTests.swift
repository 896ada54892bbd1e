import Glibc
import Logging
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Two engines in one process, one of which takes the other's place.
  @Suite(.serialized) struct PassingTests {
    private struct Pair {
      let old: TestProxy
      let new: ProxyServer
      let intake: HandoverIntake
      let outbox: HandoverOutbox

      init(_ upstream: SocketAddress) throws {
        old = try TestProxy(upstream)
        let listener = try Listener(
          adopting: dup(old.server.listeners[0].fd), isIPv4: old.address.address.isIPv4)
        let new = ProxyServer(
          listeners: [listener], resolver: FixedResolver(TestProxy.policy), dialer: FixedDialer(upstream),
          rules: RuleStore(try RuleSetTable(TestProxy.configuration)))
        self.new = new
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
        outbox = HandoverOutbox(HandoverLink(adopting: ends[0]))
        intake = try HandoverIntake(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { new.adopt($0) }
        intake.follow(HandoverLink(adopting: ends[1]))
      }

      func handOver(limit: Duration = .seconds(60)) throws {
        #expect(old.server.pause())
        try new.start()
        old.server.depart(Departure(outbox: outbox, limit: limit))
      }

      func end() async {
        _ = intake.stop()
        await old.stop()
        new.shutDown()
        try? await new.waitUntilStopped()
      }
    }

    private final class Flag: Sendable {
      private let value = Atomic<Bool>(false)
      var isSet: Bool { value.load(ordering: .acquiring) }
      func set() { value.store(true, ordering: .releasing) }
    }

    private func get(_ socket: TestSocket, _ path: String = "/ok") -> String? {
      socket.write("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
      return socket.readMessage()?.body
    }

    @Test func `connections at rest and those in the queue go on`() async throws {
      let server = try TestServer.echo()
      let pair = try Pair(server.address)
      let kept = (0..<16).map { _ in pair.old.connect() }
      for socket in kept { #expect(get(socket)?.hasPrefix("GET /ok") == true) }
      // One that has said nothing yet, and one that comes while nobody accepts.
      let fresh = pair.old.connect()
      #expect(pair.old.server.pause())
      let queued = pair.old.connect()
      queued.write("GET /ok/queued HTTP/1.1\r\nHost: a\r\n\r\n")
      try pair.handOver()
      try await pair.old.server.waitUntilStopped()
      #expect(queued.readMessage()?.body.hasPrefix("GET /ok/queued") == true)
      for socket in kept + [fresh] { #expect(get(socket)?.hasPrefix("GET /ok") == true) }
      #expect(pair.outbox.count == 17)
      #expect(get(pair.old.connect())?.hasPrefix("GET /ok") == true)
      await pair.end()
    }

    @Test func `an exchange ends where it began, and its connection goes on`() async throws {
      let (asked, ask) = AsyncStream.makeStream(of: Void.self)
      let mayEnd = Flag()
      let server = try TestServer { socket, _ in
        while let message = socket.readMessage() {
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
          if message.head.contains("/ok/slow") {
            ask.yield()
            while !mayEnd.isSet { usleep(1000) }
          }
          socket.write("cd")
        }
      }
      let pair = try Pair(server.address)
      let client = pair.old.connect()
      client.write("GET /ok/slow HTTP/1.1\r\nHost: a\r\n\r\n")
      for await _ in asked { break }
      try pair.handOver()
      #expect(pair.outbox.count == 0)
      // The next request is there before the answer to this one has ended: nothing of it may be lost on the way.
      client.write("GET /ok/next HTTP/1.1\r\nHost: a\r\n\r\n")
      mayEnd.set()
      #expect(client.readMessage()?.body == "abcd")
      #expect(client.readMessage()?.body == "abcd")
      try await pair.old.server.waitUntilStopped()
      #expect(pair.outbox.count == 1)
      #expect(get(client) == "abcd")
      await pair.end()
    }

    @Test func `a tunnel stays, for as long as it may`() async throws {
      let server = try TestServer { socket, _ in
        guard socket.readMessage() != nil else { return }
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while let line = socket.read(through: "\n") { socket.write(line) }
      }
      let pair = try Pair(server.address)
      let client = pair.old.connect()
      client.write("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
      #expect(client.read(through: "\r\n\r\n")?.hasPrefix("HTTP/1.1 101") == true)
      try pair.handOver(limit: .seconds(2))
      client.write("one\n")
      #expect(client.read(through: "\n") == "one\n")
      try await pair.old.server.waitUntilStopped()
      #expect(client.readToEnd() == "")
      await pair.end()
    }

    @Test func `an incumbent that is left takes connections again`() async throws {
      let server = try TestServer.echo()
      let pair = try Pair(server.address)
      #expect(pair.old.server.pause())
      let queued = pair.old.connect()
      queued.write("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
      pair.old.server.resume()
      #expect(queued.readMessage()?.body.hasPrefix("GET /ok") == true)
      await pair.end()
    }

    @Test func `without a successor to pass them to, connections end as they come to rest`() async throws {
      let server = try TestServer.echo()
      let pair = try Pair(server.address)
      let kept = pair.old.connect()
      #expect(get(kept) != nil)
      pair.old.server.depart(Departure(outbox: nil, limit: .seconds(60)))
      #expect(kept.readToEnd() == "")
      try await pair.old.server.waitUntilStopped()
      await pair.end()
    }
  }
}
