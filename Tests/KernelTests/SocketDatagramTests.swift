import CMartletABI
import Glibc
import Testing

/// Datagrams of sockets that are not connected, or that name an address although they are.
@Suite(.enabled(if: isRoot, "needs root")) struct SocketDatagramTests {
  /// Sends one datagram to a service; has whichever server got it answer. Returns the server's index and who seems to answer.
  private func ask(_ client: TestSocket, _ service: Endpoint, _ servers: [TestSocket]) throws -> (Int, Endpoint) {
    try #require(client.send([7], to: service) == 0)
    let index = try #require(TestSocket.awaitInput(servers))
    let asked = try #require(servers[index].receive())
    try #require(servers[index].send(asked.bytes, to: asked.from) == 0)
    return (index, try #require(client.receive()).from)
  }

  @Test(arguments: ClientForm.allCases) func answersComeFromTheService(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let servers = try stage.servers(form.family, SOCK_DGRAM, [1, 2])
    try stage.balance(form.family, Proto.udp, number: 10, servers: [1])
    try stage.balance(form.family, Proto.udp, number: 11, servers: [2])
    let client = try stage.client(form, SOCK_DGRAM)
    for _ in 0..<2 {
      for (index, number) in [UInt8(10), 11].enumerated() {
        let vip = SocketStage.vip(form.family, number)
        #expect(try ask(client, vip, servers) == (index, vip))
      }
      // A server that is asked directly answers as itself, if no service of this socket has it.
      let direct = SocketStage.server(form.family, 3)
      let other = try stage.servers(form.family, SOCK_DGRAM, [3])
      #expect(try ask(client, direct, other).1 == direct)
    }
  }

  /// As with a connection, what a socket sends to a service goes to one backend, for as long as that exists.
  @Test(arguments: ClientForm.allCases) func aSocketKeepsItsBackendUntilItGoes(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let servers = try stage.servers(form.family, SOCK_DGRAM, [1, 2, 3, 4])
    try stage.balance(form.family, Proto.udp, servers: [1, 2, 3, 4])
    let vip = SocketStage.vip(form.family)
    let client = try stage.client(form, SOCK_DGRAM)
    let (first, _) = try ask(client, vip, servers)
    for _ in 0..<20 { #expect(try ask(client, vip, servers) == (first, vip)) }

    try stage.backends.delete(1001 + UInt32(first))
    let left = (0..<4).filter { $0 != first }
    try stage.service(11, Proto.udp, left.map { SocketStage.server(form.family, UInt8($0) + 1) })
    try stage.services.update(10, martlet_service(table: 11, count: 3, affinity: 0, flags: 0, listener: 0, pad: 0))
    let (second, from) = try ask(client, vip, servers)
    #expect(second != first && from == vip)
    for _ in 0..<20 { #expect(try ask(client, vip, servers).0 == second) }

    // Other sockets find others.
    let found = try (0..<24).map { _ in try ask(stage.client(form, SOCK_DGRAM), vip, servers).0 }
    #expect(Set(found).count > 1)
    #expect(!found.contains(first))
  }

  /// Silence for as long as ends a stream of datagrams makes the choice free again.
  @Test(arguments: ClientForm.allCases) func silenceFreesTheChoice(_ form: ClientForm) throws {
    let stage = try SocketStage()
    stage.config.ct_any_stream = 0
    let servers = try stage.servers(form.family, SOCK_DGRAM, [1, 2, 3, 4])
    try stage.balance(form.family, Proto.udp, servers: [1, 2, 3, 4])
    let client = try stage.client(form, SOCK_DGRAM)
    let found = try (0..<24).map { _ in try ask(client, SocketStage.vip(form.family), servers).0 }
    #expect(Set(found).count > 1)
  }

  /// A connected socket that names its service again stays with the backend whose answers it can receive.
  @Test(arguments: ClientForm.allCases) func connectedSocketsMayNameTheService(_ form: ClientForm) throws {
    let stage = try SocketStage()
    let servers = try stage.servers(form.family, SOCK_DGRAM, [1, 2, 3, 4])
    try stage.balance(form.family, Proto.udp, servers: [1, 2, 3, 4])
    let vip = SocketStage.vip(form.family)
    let client = try stage.client(form, SOCK_DGRAM)
    try #require(client.connect(vip) == 0)
    for _ in 0..<8 { #expect(try ask(client, vip, servers).1 == vip) }
  }

  /// A process of a pod in the node's namespace passes both attachments.
  @Test(arguments: ClientForm.allCases) func bothAttachmentsAreAsOne(_ form: ClientForm) throws {
    let stage = try SocketStage(as: [.pods, .node])
    let servers = try stage.servers(form.family, SOCK_DGRAM, [1, 2, 3, 4])
    try stage.balance(form.family, Proto.udp, servers: [1, 2, 3, 4])
    let vip = SocketStage.vip(form.family)
    let client = try stage.client(form, SOCK_DGRAM)
    let (first, from) = try ask(client, vip, servers)
    #expect(from == vip)
    for _ in 0..<8 { #expect(try ask(client, vip, servers) == (first, vip)) }
    let connected = try stage.client(form, SOCK_DGRAM)
    try #require(connected.connect(vip) == 0)
    #expect(connected.peer == vip)
    #expect(try ask(connected, vip, servers).1 == vip)
  }
}
