import Addressing
import BPF
import CMartletABI
import Foundation
import KernelABI
import Testing

@testable import Proxy

@Suite struct KernelSideTests {
  private static func address(_ text: String, _ port: UInt16) -> SocketAddress {
    SocketAddress(IPAddress(text)!, port: port)
  }

  /// The programs compare the words of addresses as they lie in memory.
  @Test(arguments: [
    (address("10.0.0.1", 40000), address("10.0.0.2", 80), false),
    (address("10.0.0.2", 40000), address("10.0.0.1", 80), true),
    // In memory 1.0.0.2 is the higher word of the two, though 2.0.0.1 is the higher address.
    (address("1.0.0.2", 40000), address("2.0.0.1", 80), true),
    // The same of the ports: 80 lies in memory as 0x5000, 40000 as 0x409C.
    (address("fd00::1", 40000), address("fd00::1", 80), false),
  ])
  func conntrackKey(_ client: SocketAddress, _ server: SocketAddress, _ clientIsB: Bool) {
    let (key, isB) = ConntrackResolver.key(client: client, server: server)
    #expect(isB == clientIsB)
    #expect(key.protocol == 6 && key.zone == 0 && key.pad == 0)
    #expect(UInt16(bigEndian: isB ? key.port_b : key.port_a) == client.port)
    #expect(UInt16(bigEndian: isB ? key.port_a : key.port_b) == server.port)
  }

  @Test(.enabled(if: geteuid() == 0, "needs root"), arguments: ["127.0.0.1", "::1"])
  func listenersEnterTheSocketMapAndMarkTheirConnections(_ host: String) throws {
    let listeners = try TransparentListeners()
    let map = try SocketMap.create(name: "proxy_test", maxEntries: UInt32(MARTLET_LISTENER_MAX.rawValue))
    try listeners.register(in: map)
    let listener = host == "::1" ? listeners.ipv6 : listeners.ipv4
    let cookie = try #require(try map.cookie(host == "::1" ? 1 : 0))
    #expect(cookie == Self.option(listener.fd, 57, UInt64(0)))
    // A later proxy takes the places over.
    let mark = ProxyMark(instance: "89ab1234")
    let later = try TransparentListeners(mark: mark)
    #expect(mark.rawValue == 0x1234_0000 | UInt32(MARTLET_MARK_FROM_PROXY))
    #expect(Self.option(later.ipv6.fd, SO_MARK, UInt32(0)) == mark.rawValue)
    try later.register(in: map)
    let client = TestSocket(connectingTo: listener.address)
    var peer: SocketAddress?
    var accepted: Int32 = -1
    for _ in 0..<100 where accepted < 0 {
      accepted = Proxy.Socket.accept(listener.fd, peer: &peer)
      if accepted < 0 { usleep(10_000) }
    }
    #expect(Self.option(accepted, SO_MARK, UInt32(0)) == UInt32(MARTLET_MARK_FROM_PROXY))
    #expect(peer?.address == IPAddress(host))
    _ = client
    for fd in [accepted] + (listeners.all + later.all).map(\.fd) { close(fd) }
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func theServerSeesTheClientsAddress() throws {
    let server = try Listener(Self.address("127.0.0.1", 0))
    defer { close(server.fd) }
    let fd = TransparentDialer(mark: 0).dial(client: Self.address("127.9.8.7", 40000), server: server.address)
    defer { close(fd) }
    try #require(fd >= 0)
    var peer: SocketAddress?
    var accepted: Int32 = -1
    for _ in 0..<100 where accepted < 0 {
      accepted = Proxy.Socket.accept(server.fd, peer: &peer)
      if accepted < 0 { usleep(10_000) }
    }
    defer { close(accepted) }
    #expect(peer?.address == IPAddress("127.9.8.7"))
  }

  private static func option<Value: BitwiseCopyable>(_ fd: Int32, _ name: Int32, _ zero: Value) -> Value {
    var value = zero
    var length = socklen_t(MemoryLayout<Value>.size)
    _ = getsockopt(fd, SOL_SOCKET, name, &value, &length)
    return value
  }
}

/// What the proxy reads of the datapath's maps.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct ConntrackResolverTests {
  /// The maps that the proxy opens, pinned as the datapath pins them.
  private struct Maps {
    let configuration: BPFMap<UInt32, martlet_config>
    let connections: BPFMap<martlet_ct_key, martlet_ct_entry>

    init(pins: String) throws {
      configuration = try .create(.array, name: "test_config", maxEntries: 1, flags: .memoryMapped)
      connections = try .create(.hash, name: "test_ct", maxEntries: 8, flags: .noPreallocation)
      try configuration.raw.pin(at: MapName.configuration.pin(in: pins), replacing: true)
      try connections.raw.pin(at: MapName.connections.pin(in: pins), replacing: true)
    }

    func set(revision: UInt32) throws {
      var entry = martlet_config()
      entry.policy_revision = revision
      try configuration.update(0, entry)
    }
  }

  @Test func theRevisionIsSharedMemory() throws {
    let pins = "/sys/fs/bpf/martlet-test-\(getpid())-proxy"
    try BPFFS.ensureMounted()
    try BPFFS.makeDirectories(pins)
    defer {
      for name in [MapName.configuration, .connections] { unlink(name.pin(in: pins)) }
      rmdir(pins)
    }
    let first = try Maps(pins: pins)
    try first.set(revision: 7)
    let resolver = try ConntrackResolver(pins: pins)
    #expect(resolver.revision == 7)
    try first.set(revision: 8)
    #expect(resolver.revision == 8)
    #expect(try !resolver.reopen())

    // An agent that makes the maps anew: the proxy goes over to them when it is told of a new configuration.
    let second = try Maps(pins: pins)
    try second.set(revision: 30)
    #expect(resolver.revision == 8)
    #expect(try resolver.reopen())
    #expect(resolver.revision == 30)
    let client = SocketAddress(IPAddress("10.0.0.1")!, port: 40000)
    let server = SocketAddress(IPAddress("10.0.0.2")!, port: 80)
    #expect(resolver.resolve(client: client, server: server, transport: .tcp) == nil)
    var entry = martlet_ct_entry()
    entry.flags = UInt32(MARTLET_CT_PROXY.rawValue)
    entry.proxy_rules = 5
    try second.connections.update(ConntrackResolver.key(client: client, server: server).0, entry)
    #expect(resolver.resolve(client: client, server: server, transport: .tcp)?.proxyRules == 5)
    entry.egress_proxy_rules = 6
    entry.flags |= UInt32(MARTLET_CT_AUDIT_EGRESS.rawValue)
    try second.connections.update(ConntrackResolver.key(client: client, server: server).0, entry)
    let both = try #require(resolver.resolve(client: client, server: server, transport: .tcp))
    #expect((both.proxyRules, both.egressProxyRules) == (5, 6) && both.isEgressAudit && !both.isAudit)
    #expect(both.listener == 0)

    // One whose requests are routed; whoever overlooks that finds rules that nobody knows.
    entry.flags = MARTLET_CT_PROXY.rawValue | MARTLET_CT_ROUTED.rawValue
    entry.proxy_rules = 7
    entry.egress_proxy_rules = 0
    entry.origin_identity = 300
    entry.service = 4
    try second.connections.update(ConntrackResolver.key(client: client, server: server).0, entry)
    let routed = try #require(resolver.resolve(client: client, server: server, transport: .tcp))
    #expect(routed.listener == 7 && routed.sourceIdentity == 300 && routed.service == 4)
    #expect(routed.proxyRules == .max)
    // And one of the node's own programs, which the listener's address tells.
    let own = SocketAddress(IPAddress("127.0.0.1")!, port: 40000)
    let led = SocketAddress(IPAddress("127.66.18.52")!, port: 9000)
    let host = try #require(resolver.resolve(client: own, server: led, transport: .tcp))
    #expect(host.listener == 0x1234 && host.sourceIdentity == 1 && host.revision == 30)
    #expect(resolver.resolve(client: own, server: led, transport: .udp) == nil)
  }
}
