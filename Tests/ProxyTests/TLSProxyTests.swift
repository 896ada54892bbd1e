import Addressing
import ProxyRules
import Synchronization
import Testing

@testable import Proxy

#if canImport(Glibc)
  import Glibc
#endif

extension LoopbackTests {
  /// The TLS engine between a client and a server that only echoes: to the engine, what follows the hello is octets.
  @Suite struct TLSProxyTests {
    private static func table(_ generation: UInt64, _ names: [String]) throws -> RuleSetTable {
      let rules = names.enumerated().map { NameRule(id: UInt32(20 + $0.offset), pattern: DNSNamePattern($0.element)) }
      return try RuleSetTable(
        ProxyConfiguration(generation: generation, ruleSets: [RuleSet(id: 5, rules: .tls(rules))]))
    }

    private final class Setup: Sendable {
      let address: SocketAddress
      let rules: RuleStore
      private let server: ProxyServer
      private let tls: TLSProxy
      private let records: Records

      private final class Records: Sendable {
        let all = Mutex<[TLSAccessRecord]>([])
      }

      init(
        _ upstream: SocketAddress, host: String = "127.0.0.1", isAudit: Bool = false,
        change: (inout ProxyOptions) -> Void = { _ in }
      ) throws {
        let listener = try Listener(SocketAddress(IPAddress(host)!, port: 0))
        address = listener.address
        rules = RuleStore(try TLSProxyTests.table(1, ["exact.org", "*.example.com"]))
        let resolver = FixedResolver(
          ConnectionPolicy(proxyRules: 5, sourceIdentity: 1001, destinationIdentity: 1002, isAudit: isAudit))
        var options = ProxyOptions()
        options.workers = 2
        options.timeouts.granularity = .milliseconds(50)
        options.drain = .milliseconds(100)
        let records = Records()
        self.records = records
        options.accessSink = .callback { new in
          let tls = new.compactMap { if case .tls(let record) = $0 { record } else { nil } }
          records.all.withLock { $0 += tls }
        }
        change(&options)
        tls = try TLSProxy(resolver: resolver, dialer: FixedDialer(upstream), rules: rules, options: options)
        server = ProxyServer(
          listeners: [listener], resolver: resolver, dialer: FixedDialer(upstream), rules: rules, tls: tls,
          options: options)
        try tls.start()
        try server.start()
      }

      func connect() -> TestSocket { TestSocket(connectingTo: address) }

      func wait(_ count: Int = 1) async -> [TLSAccessRecord] {
        for _ in 0..<2000 {
          let now = records.all.withLock { $0 }
          if now.count >= count { return now }
          try? await Task.sleep(for: .milliseconds(10))
        }
        return records.all.withLock { $0 }
      }

      deinit {
        server.shutDown()
        tls.shutDown()
      }
    }

    /// Gives everything back, and ends after the client has.
    private static func mirror(_ host: String = "127.0.0.1") throws -> TestServer {
      try TestServer(host) { socket, _ in
        while let octet = socket.read(count: 1) { socket.write(octet) }
        socket.write("bye")
      }
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `a name that is allowed gets through as it is`(_ host: String)
      async throws
    {
      let server = try Self.mirror(host)
      let setup = try Setup(server.address, host: host)
      let client = setup.connect()
      let hello = HelloBuilder("WWW.example.com").records(of: 11)
      for octet in hello { client.write([octet]) }
      #expect(client.read(count: hello.count) == hello)
      client.write("more")
      #expect(client.read(count: 4) == Array("more".utf8))
      client.endWriting()
      #expect(client.readToEnd() == "bye", "one side may end before the other")
      let record = try #require(await setup.wait().first)
      #expect(record.name == "www.example.com" && record.rule == 21 && !record.isDenied && record.proxyRules == 5)
      #expect(record.sourceIdentity == 1001 && record.destinationIdentity == 1002)
    }

    private static let alert: [UInt8] = [21, 3, 3, 0, 2, 2]

    static let refused: [(note: String, bytes: [UInt8], answer: [UInt8])] = [
      ("another name", HelloBuilder("example.com").records(), alert + [49]),
      ("a name below", HelloBuilder("a.b.example.com").records(), alert + [49]),
      ("no name", HelloBuilder().records(), alert + [49]),
      ("garbage", [22, 3, 1, 0, 1, 2], alert + [50]),
      ("HTTP", Array("GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n".utf8), []),
    ]

    @Test(arguments: refused.indices) func `the server hears of nobody who is refused`(_ index: Int) async throws {
      let row = Self.refused[index]
      let connections = Connections()
      let server = try TestServer { _, _ in connections.count.add(1, ordering: .relaxed) }
      let setup = try Setup(server.address)
      let client = setup.connect()
      client.write(row.bytes)
      if !row.answer.isEmpty { #expect(client.read(count: row.answer.count) == row.answer, "\(row.note)") }
      #expect(client.readToEnd() == "")
      let record = try #require(await setup.wait().first)
      #expect(record.isDenied && record.rule == 0, "\(row.note)")
      #expect(connections.count.load(ordering: .relaxed) == 0, "\(row.note)")
    }

    private final class Connections: Sendable {
      let count = Atomic<Int>(0)
    }

    @Test func `who connects and says nothing is no offender`() async throws {
      let server = try Self.mirror()
      defer { withExtendedLifetime(server) {} }
      let setup = try Setup(server.address) { $0.timeouts.requestHead = .milliseconds(200) }
      let probe = setup.connect()
      probe.endWriting()
      #expect(probe.readToEnd() == "")
      let silent = setup.connect()
      #expect(silent.readToEnd().utf8.count > 0, "it is told when its time is over")
      #expect(await setup.wait(1).count == 1)
    }

    @Test func `audit lets it pass and says so`() async throws {
      let server = try Self.mirror()
      defer { withExtendedLifetime(server) {} }
      let setup = try Setup(server.address, isAudit: true)
      let client = setup.connect()
      let hello = HelloBuilder("evil.org").records()
      client.write(hello)
      #expect(client.read(count: hello.count) == hello)
      let record = try #require(await setup.wait().first)
      #expect(record.isAudited && !record.isDenied && record.name == "evil.org")
    }

    @Test func `a connection ends when its name is no longer allowed`() async throws {
      let server = try Self.mirror()
      defer { withExtendedLifetime(server) {} }
      let setup = try Setup(server.address)
      let client = setup.connect()
      let other = setup.connect()
      for (socket, name) in [(client, "www.example.com"), (other, "exact.org")] {
        let hello = HelloBuilder(name).records()
        socket.write(hello)
        #expect(socket.read(count: hello.count) == hello)
      }
      setup.rules.replace(with: try Self.table(2, ["exact.org"]))
      #expect(client.readToEnd() == "")
      other.write("x")
      #expect(other.read(count: 1) == [120])
      #expect(await setup.wait(3).count { $0.isDenied && $0.name == "www.example.com" } == 1)
    }

    @Test func `a server that is not there is not there for the client either`() throws {
      let gone = try Listener(SocketAddress(IPAddress("127.0.0.1")!, port: 0))
      let address = gone.address
      shutdown(gone.fd, Int32(SHUT_RDWR))
      close(gone.fd)
      let setup = try Setup(address)
      let client = setup.connect()
      client.write(HelloBuilder("exact.org").records())
      #expect(client.readToEnd() == "")
    }

    @Test func `a slow side holds the fast one back`() throws {
      let size = 64 << 20
      let server = try TestServer { socket, _ in
        let hello = HelloBuilder("exact.org").records()
        _ = socket.read(count: hello.count)
        socket.write([UInt8](repeating: 7, count: size))
      }
      let setup = try Setup(server.address)
      let client = setup.connect()
      client.write(HelloBuilder("exact.org").records())
      usleep(200_000)
      #expect(client.drain() == size)
    }
  }
}
