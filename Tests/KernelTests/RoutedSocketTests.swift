import BPF
import CMartletABI
import Glibc
import Netlink
import Testing

/// Services whose requests the proxy routes, for programs: those of the node are led to its listener, pods' are left alone.
@Suite(.enabled(if: isRoot, "needs root")) struct RoutedSocketTests {
  /// The proxy of a stage, by a listener of its own on 127.0.0.1.
  private final class Proxy {
    let socket: TestSocket
    private let link: Link

    init(_ stage: SocketStage) throws {
      let loopback = Endpoint(address: v4(127, 0, 0, 1), port: 0)
      socket = try TestSocket.server(loopback, SOCK_STREAM, in: stage.namespace)
      let index = UInt32(MARTLET_LISTENER_IPV4.rawValue)
      try SocketMap(stage.loaded.map("martlet_listeners")).update(index, socket: socket.descriptor)
      let port = try #require(socket.local).port
      let ports: BPFMap<UInt32, UInt32> = try stage.loaded.map("martlet_listener_ports")
      try ports.update(index, UInt32(port.bigEndian))
      let program = try Node.proxySpecification().load(reusing: stage.loaded.maps).program("proxy_lookup")
      link = try stage.namespace.run {
        let namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        defer { close(namespace) }
        return try Link.networkNamespace(program, descriptor: namespace)
      }
    }

    deinit { try? link.detach() }

    /// Where the next client believes to be.
    func accepted() throws -> Endpoint? {
      try #require(TestSocket.awaitInput([socket]) == 0)
      let descriptor = accept(socket.descriptor, nil, nil)
      defer { close(descriptor) }
      var address = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let result = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
      }
      guard result == 0 else { return nil }
      let octets = withUnsafeBytes(of: address.sin_addr.s_addr) { Array($0) }
      return Endpoint(
        address: v4(octets[0], octets[1], octets[2], octets[3]), port: UInt16(bigEndian: address.sin_port))
    }
  }

  private func stage(_ form: ClientForm, as side: SocketStage.Side, listener: UInt32) throws -> SocketStage {
    let stage = try SocketStage(as: [side])
    try stage.service(10, Proto.tcp, [SocketStage.server(form.family, 1)], listener: listener)
    try stage.frontend(SocketStage.vip(form.family), Proto.tcp, service: 10)
    return stage
  }

  /// Also a pod that shares the node's network.
  @Test(arguments: ClientForm.allCases, [SocketStage.Side.node, .pods]) func theNodesProgramsReachTheListener(
    _ form: ClientForm, _ side: SocketStage.Side
  ) throws {
    let stage = try stage(form, as: side, listener: 0x1234)
    let proxy = try Proxy(stage)
    let client = try stage.client(form, SOCK_STREAM)
    #expect(client.connect(SocketStage.vip(form.family)) == 0)
    #expect(client.peer == SocketStage.vip(form.family))
    let there = try proxy.accepted()
    let port = try #require(proxy.socket.local).port
    #expect(there == Endpoint(address: v4(127, 66, 0x12, 0x34), port: port))
    #expect(try stage.socketEntry(client).backend == 0)
  }

  /// Their packets meet the proxy on their way.
  @Test(arguments: ClientForm.allCases) func podsAreLeftAlone(_ form: ClientForm) throws {
    let stage = try stage(form, as: .pods, listener: 7)
    let proxy = try Proxy(stage)
    let pod = try NetworkNamespace.create()
    let client = try stage.client(form, SOCK_STREAM, in: pod)
    // As for any address, in a pod without a route.
    #expect([ENETUNREACH, EADDRNOTAVAIL].contains(client.connect(SocketStage.vip(form.family))))
    withExtendedLifetime(proxy) {}
  }

  @Test(arguments: ClientForm.allCases) func withoutAProxyClientsAreRefused(_ form: ClientForm) throws {
    let stage = try stage(form, as: .node, listener: 7)
    #expect(try stage.client(form, SOCK_STREAM).connect(SocketStage.vip(form.family)) == ECONNREFUSED)
  }

  @Test(arguments: ClientForm.allCases) func datagramsAreBalanced(_ form: ClientForm) throws {
    let stage = try SocketStage(as: [.node])
    let server = try stage.servers(form.family, SOCK_DGRAM, [1])[0]
    try stage.service(10, Proto.udp, [SocketStage.server(form.family, 1)], listener: 7)
    try stage.frontend(SocketStage.vip(form.family), Proto.udp, service: 10)
    let client = try stage.client(form, SOCK_DGRAM)
    #expect(client.connect(SocketStage.vip(form.family)) == 0 && client.send([1]) == 0)
    #expect(server.receive() != nil)
  }

  /// Nothing else on loopback is the proxy's.
  @Test func otherPortsOfTheRangeAreNobodys() throws {
    let stage = try stage(.ipv4, as: .node, listener: 7)
    let proxy = try Proxy(stage)
    let port = try #require(proxy.socket.local).port
    let client = try TestSocket(AF_INET, SOCK_STREAM, in: stage.namespace)
    #expect(client.connect(Endpoint(address: v4(127, 66, 0, 7), port: port ^ 1)) == ECONNREFUSED)
    let other = try TestSocket(AF_INET, SOCK_STREAM, in: stage.namespace)
    #expect(other.connect(Endpoint(address: v4(127, 67, 0, 7), port: port)) == ECONNREFUSED)
  }
}
