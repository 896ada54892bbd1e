import Addressing
import Glibc
import Logging
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  /// Two DNS engines, one of which takes the other's place.
  @Suite(.serialized) struct DNSPassingTests {
    private static func engine(_ listener: DNSListener, _ server: SocketAddress) throws -> DNSProxy {
      let configuration = ProxyConfiguration(
        generation: 1, ruleSets: [RuleSet(id: 1, rules: .dns([NameRule(id: 1, pattern: DNSNamePattern("*"))]))])
      return try DNSProxy(
        listeners: [listener], resolver: FixedResolver(TestProxy.policy), dialer: FixedDialer(server),
        rules: RuleStore(try RuleSetTable(configuration)))
    }

    /// A blocking socket for datagrams on loopback.
    private static func datagrams(_ host: String) throws -> Int32 {
      let address = SocketAddress(try #require(IPAddress(host)), port: 0)
      let fd = Proxy.Socket.udp(family: address.address.isIPv4 ? AF_INET : AF_INET6)
      _ = fcntl(fd, F_SETFL, 0)
      var limit = timeval(tv_sec: 20, tv_usec: 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      #expect(Proxy.Socket.bind(fd, address) == 0)
      return fd
    }

    /// The name that is asked for, and how to answer.
    private static func question(_ server: Int32) -> (name: String, answer: () -> Void)? {
      var buffer = [UInt8](repeating: 0, count: 512)
      var storage = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let count = withUnsafeMutablePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(server, &buffer, buffer.count, 0, $0, &length)
        }
      }
      guard count > 0, let client = SocketAddress(storage),
        let query = try? buffer[..<count].withUnsafeBytes({ try DNSQuery($0) })
      else { return nil }
      let reply = [buffer[0], buffer[1], 0x81, 0x80] + buffer[4..<count]
      return (query.name, { _ = client.withSockAddr { sendto(server, reply, reply.count, 0, $0, $1) } })
    }

    @Test(arguments: ["127.0.0.1", "::1"])
    func `a query is answered by who got it, and none is lost`(_ host: String) async throws {
      let server = try Self.datagrams(host)
      let client = try Self.datagrams(host)
      defer {
        close(server)
        close(client)
      }
      let address = try #require(Proxy.Socket.localAddress(server))
      let listener = try DNSListener(SocketAddress(try #require(IPAddress(host)), port: 0))
      let next = try DNSListener(adopting: dup(listener.fd), isIPv4: listener.address.address.isIPv4)
      let (old, new) = (try Self.engine(listener, address), try Self.engine(next, address))
      #expect(Proxy.Socket.connect(client, listener.address) == 0)
      func ask(_ name: String, id: UInt16) {
        let bytes = DNSBuilder(query: name, id: id).bytes
        #expect(send(client, bytes, bytes.count, 0) == bytes.count)
      }
      func answered() -> UInt16 {
        var buffer = [UInt8](repeating: 0, count: 512)
        return recv(client, &buffer, buffer.count, 0) > 2 ? UInt16(buffer[0]) << 8 | UInt16(buffer[1]) : 0
      }

      try old.start()
      ask("first", id: 1)
      let first = try #require(Self.question(server))
      #expect(first.name == "first")
      #expect(old.pause())
      ask("second", id: 2)
      try new.start()
      let second = try #require(Self.question(server))
      #expect(second.name == "second")
      old.depart(Departure(outbox: nil, limit: .seconds(60)))
      second.answer()
      #expect(answered() == 2)
      first.answer()
      #expect(answered() == 1)
      await old.waitUntilStopped()
      #expect(old.statistics.queries == 1 && new.statistics.queries == 1)
      new.shutDown()
      await new.waitUntilStopped()
    }

    @Test func `a connection at rest goes to the other engine`() async throws {
      let listener = try DNSListener(SocketAddress(IPAddress(v4: 0x7F00_0001), port: 0))
      let old = try Self.engine(listener, listener.address)
      try old.start()
      var pair: [Int32] = [-1, -1]
      #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
      let (taken, take) = AsyncStream.makeStream(of: Int32.self)
      var ends: [Int32] = [-1, -1]
      #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
      let intake = try HandoverIntake(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
        take.yield($0)
      }
      intake.follow(HandoverLink(adopting: ends[1]))
      old.take(AcceptedSocket(fd: pair[0], client: listener.address, server: listener.address))
      #expect(old.pause())
      old.depart(Departure(outbox: HandoverOutbox(HandoverLink(adopting: ends[0])), limit: .seconds(60)))
      await old.waitUntilStopped()
      var iterator = taken.makeAsyncIterator()
      let passed = try #require(await iterator.next())
      #expect(send(pair[1], "x", 1, 0) == 1)
      var octet: UInt8 = 0
      #expect(recv(passed, &octet, 1, 0) == 1)
      close(passed)
      close(pair[1])
      _ = intake.stop()
    }
  }
}
