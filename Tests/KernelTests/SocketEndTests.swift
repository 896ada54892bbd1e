import Addressing
import BPF
import CMartletABI
import CMartletBPF
import Glibc
import Netlink
import Testing

/// Sockets whose backend has gone are listed by the kernel and ended.
@Suite(.enabled(if: isRoot, "needs root")) struct SocketEndTests {
  static func specification() throws -> ObjectSpecification {
    let object = UnsafeRawBufferPointer(start: martlet_socketlist_object(), count: martlet_socketlist_object_size())
    return try ObjectSpecification(bytes: Array(object), name: "socketlist")
  }

  private func balanced(_ stage: SocketStage) throws -> [martlet_balanced_socket] {
    let program = try SocketEndTests.specification().load(reusing: stage.loaded.maps).program("balanced_sockets")
    let bytes = try Link.iterator(program, over: stage.loaded.map("martlet_sockets")).readAll()
    let size = MemoryLayout<martlet_balanced_socket>.size
    #expect(bytes.count % size == 0)
    return bytes.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: size).map {
        bytes.loadUnaligned(fromByteOffset: $0, as: martlet_balanced_socket.self)
      }
    }
  }

  private func address(_ address: martlet_addr) -> IPAddress {
    IPAddress(high: UInt64(bigEndian: address.hi), low: UInt64(bigEndian: address.lo))
  }

  @Test(arguments: ClientForm.allCases, ConnectedSocket.Transport.allCases)
  func onlyTheSocketsOfABackendEnd(_ form: ClientForm, _ transport: ConnectedSocket.Transport) throws {
    let stage = try SocketStage()
    let type = transport == .tcp ? SOCK_STREAM : SOCK_DGRAM
    let servers = try stage.servers(form.family, type, [1, 2])
    try stage.balance(form.family, transport.rawValue, number: 10, servers: [1])
    try stage.balance(form.family, transport.rawValue, number: 11, servers: [2])
    let clients = try (0..<4).map { _ in try stage.client(form, type) }
    let (gone, kept, direct, moved) = (clients[0], clients[1], clients[2], clients[3])
    #expect(gone.connect(SocketStage.vip(form.family, 10)) == 0)
    #expect(kept.connect(SocketStage.vip(form.family, 11)) == 0)
    #expect(direct.connect(SocketStage.server(form.family, 1)) == 0)
    // A datagram socket may be connected anew, to where no service leads.
    #expect(moved.connect(SocketStage.vip(form.family, 10)) == 0)
    if transport == .udp { #expect(moved.connect(SocketStage.server(form.family, 2)) == 0) }

    let listed = try balanced(stage)
    #expect(listed.count == (transport == .udp ? 2 : 3))
    let cookie = try stage.namespace.cookie()
    #expect(listed.allSatisfy { $0.netns_cookie == cookie })
    let found = try #require(listed.first { UInt16(bigEndian: $0.source_port) == gone.local?.port })
    #expect(found.backend == 1001 && found.service == 10 && found.protocol == UInt16(transport.rawValue))
    let socket = ConnectedSocket(
      transport: transport, isIPv6Socket: found.family == UInt16(AF_INET6), source: address(found.source),
      sourcePort: UInt16(bigEndian: found.source_port), destination: address(found.destination),
      destinationPort: UInt16(bigEndian: found.destination_port), boundInterfaceIndex: found.bound_ifindex,
      cookie: found.cookie)
    #expect(socket.destination.bytes == SocketStage.server(form.family, 1).address)

    let destruction = try SocketDestruction(in: stage.namespace)
    #expect(try destruction.destroy(socket))
    #expect(gone.pendingError == ECONNABORTED)
    for other in [kept, direct, moved] { #expect(other.pendingError == 0 && other.peer != nil) }
    // What is gone can not end again.
    #expect(try !destruction.destroy(socket))
    withExtendedLifetime(servers) {}
  }

  /// More than the kernel's buffer for one read holds.
  @Test func manySocketsAreListedOnceEach() throws {
    let stage = try SocketStage()
    try stage.balance(.ipv4, Proto.udp, servers: [1])
    let clients = try stage.cgroup.inside {
      try (0..<500).map { _ in try TestSocket(AF_INET, SOCK_DGRAM, in: stage.namespace) }
    }
    for client in clients { try #require(client.connect(SocketStage.vip(.ipv4)) == 0) }
    let listed = try balanced(stage)
    #expect(listed.count == clients.count)
    #expect(Set(listed.map(\.cookie)).count == clients.count)
  }
}
