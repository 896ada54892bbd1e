import CMartletABI
import Glibc
import Testing

/// Connections of real sockets, through the programs that are attached to their control group.
@Suite(.enabled(if: isRoot, "needs root")) struct SocketConnectTests {
  @Test(arguments: ClientForm.allCases) func connectionsReachTheBackendAndNameTheService(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let server = try stage.servers(form.family, SOCK_STREAM, [1])[0]
    try stage.balance(form.family, Proto.tcp, servers: [1])
    let client = try stage.client(form, SOCK_STREAM)
    #expect(client.connect(SocketStage.vip(form.family)) == 0)
    #expect(client.peer == SocketStage.vip(form.family))
    let accepted = accept(server.descriptor, nil, nil)
    try #require(accepted >= 0)
    #expect(client.send([1, 2, 3]) == 0)
    var buffer = [UInt8](repeating: 0, count: 16)
    #expect(recv(accepted, &buffer, 16, 0) == 3)
    close(accepted)
  }

  @Test(arguments: ClientForm.allCases) func connectedDatagramsComeFromTheService(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let server = try stage.servers(form.family, SOCK_DGRAM, [1])[0]
    try stage.balance(form.family, Proto.udp, servers: [1])
    let client = try stage.client(form, SOCK_DGRAM)
    #expect(client.connect(SocketStage.vip(form.family)) == 0)
    #expect(client.peer == SocketStage.vip(form.family))
    #expect(client.send([1]) == 0)
    let asked = try #require(server.receive())
    #expect(server.send([2], to: asked.from) == 0)
    #expect(try #require(client.receive()).from == SocketStage.vip(form.family))
  }

  @Test(arguments: ClientForm.allCases) func whatIsNoServiceIsLeftAlone(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let server = try stage.servers(form.family, SOCK_STREAM, [1])[0]
    try stage.balance(form.family, Proto.tcp, servers: [2])
    let client = try stage.client(form, SOCK_STREAM)
    let direct = SocketStage.server(form.family, 1)
    #expect(client.connect(direct) == 0)
    #expect(client.peer == direct)
    // Another port and another protocol of the same address.
    for (type, port) in [(SOCK_STREAM, UInt16(81)), (SOCK_DGRAM, 80)] {
      let other = try stage.client(form, type)
      #expect(other.connect(SocketStage.vip(form.family, port: port)) == ENETUNREACH)
    }
    withExtendedLifetime(server) {}
  }

  /// A socket that is in no group of the node's pods.
  @Test(arguments: ClientForm.allCases) func otherProcessesAreLeftAlone(_ form: ClientForm) throws {
    let stage = try SocketStage()
    try stage.balance(form.family, Proto.tcp, servers: [1])
    let client = try TestCgroup.outside { try TestSocket(form.socketFamily, SOCK_STREAM, in: stage.namespace) }
    #expect(client.connect(SocketStage.vip(form.family)) == ENETUNREACH)
  }

  @Test(arguments: ClientForm.allCases, [UInt32(0), MARTLET_SERVICE_DROP.rawValue])
  func withoutBackendsClientsAreRefused(_ form: ClientForm, _ flags: UInt32) throws {
    let stage = try SocketStage()
    for proto in [Proto.tcp, Proto.udp] {
      try stage.service(UInt32(proto), proto, [], flags: flags)
      try stage.frontend(SocketStage.vip(form.family), proto, service: UInt32(proto))
    }
    #expect(try stage.client(form, SOCK_STREAM).connect(SocketStage.vip(form.family)) == ECONNREFUSED)
    #expect(try stage.client(form, SOCK_DGRAM).connect(SocketStage.vip(form.family)) == ECONNREFUSED)
    #expect(try stage.client(form, SOCK_DGRAM).send([1], to: SocketStage.vip(form.family)) == ECONNREFUSED)
  }

  private func backends(of stage: SocketStage, _ form: ClientForm, connections: Int) throws -> Set<UInt32> {
    var found: Set<UInt32> = []
    let sockets: [TestSocket] = try (0..<connections).map { _ in
      let client = try stage.client(form, SOCK_STREAM)
      try #require(client.connect(SocketStage.vip(form.family)) == 0)
      found.insert(try stage.socketEntry(client).backend)
      return client
    }
    withExtendedLifetime(sockets) {}
    return found
  }

  @Test(arguments: ClientForm.allCases) func connectionsAreSpread(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let servers = try stage.servers(form.family, SOCK_STREAM, [1, 2, 3, 4])
    try stage.balance(form.family, Proto.tcp, servers: [1, 2, 3, 4])
    #expect(try backends(of: stage, form, connections: 24).count > 1)
    withExtendedLifetime(servers) {}
  }

  @Test(arguments: ClientForm.allCases) func affinityKeepsTheBackendUntilItGoes(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let servers = try stage.servers(form.family, SOCK_STREAM, [1, 2, 3, 4])
    try stage.balance(form.family, Proto.tcp, servers: [1, 2, 3, 4], affinity: 600)
    let first = try backends(of: stage, form, connections: 12)
    #expect(first.count == 1)
    // Its slot has another backend by then.
    let gone = try #require(first.first)
    let left = (UInt8(1)...4).filter { 1000 + UInt32($0) != gone }
    try stage.backends.delete(gone)
    try stage.service(11, Proto.tcp, left.map { SocketStage.server(form.family, $0) })
    try stage.services.update(10, martlet_service(table: 11, count: 3, affinity: 600, flags: 0, listener: 0, pad: 0))
    let second = try backends(of: stage, form, connections: 12)
    #expect(second.count == 1)
    #expect(second != first)
    withExtendedLifetime(servers) {}
  }

  /// The same address is another service on each of two nodes that share a machine.
  @Test(arguments: ClientForm.allCases) func nodesOnOneMachineDoNotMeet(_ form: ClientForm) throws {
    let stages = [try SocketStage(), try SocketStage()]
    for (stage, server) in zip(stages, [UInt8(1), 2]) {
      try stage.balance(form.family, Proto.tcp, servers: [server])
      let listening = try stage.servers(form.family, SOCK_STREAM, [server])
      let client = try stage.client(form, SOCK_STREAM)
      #expect(client.connect(SocketStage.vip(form.family)) == 0)
      let expected = stage.abi(SocketStage.server(form.family, server).address)
      let found = try stage.socketEntry(client).backend_address
      #expect(found.hi == expected.hi && found.lo == expected.lo)
      withExtendedLifetime(listening) {}
    }
  }
}
