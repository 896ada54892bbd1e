import Addressing
import CMartletABI
import Glibc
import Netlink
import Testing

/// What the node's own processes get: services, NodePorts at every address that is the node's, and no port that is taken.
@Suite(.enabled(if: isRoot, "needs root")) struct NodeSocketTests {
  private let port: UInt16 = 30080
  private static let host = UInt32(MARTLET_IDENTITY_HOST.rawValue)

  private func stage(_ family: Family, _ proto: UInt8 = Proto.tcp, as side: SocketStage.Side = .node) throws
    -> SocketStage
  {
    let stage = try SocketStage(as: [side])
    try stage.balance(family, proto, servers: [1])
    let frontend = Endpoint(address: SocketStage.unspecified(family), port: port)
    try stage.frontend(frontend, proto, service: 10)
    return stage
  }

  @Test(arguments: ClientForm.allCases) func onlyTheNodesNamespaceIsTheNode(_ form: ClientForm) throws {
    let stage = try stage(form.family)
    let server = try stage.servers(form.family, SOCK_STREAM, [1])
    let client = try stage.client(form, SOCK_STREAM)
    #expect(client.connect(SocketStage.vip(form.family)) == 0)
    #expect(client.peer == SocketStage.vip(form.family))
    let elsewhere = try stage.client(form, SOCK_STREAM, in: try podNamespace())
    #expect(elsewhere.connect(SocketStage.vip(form.family)) == ENETUNREACH)
    withExtendedLifetime(server) {}
  }

  /// What the proxy connects to was judged: nothing else may come in its place.
  @Test(arguments: ClientForm.allCases, [SOCK_STREAM, SOCK_DGRAM])
  func theProxysSocketsAreLeftAlone(_ form: ClientForm, _ type: __socket_type) throws {
    let stage = try stage(form.family, type == SOCK_STREAM ? Proto.tcp : Proto.udp)
    let server = try stage.servers(form.family, type, [1])
    for (mark, isLed) in [(UInt32(MARTLET_MARK_FROM_PROXY) | 0x1234_0000, false), (0x0b00, true)] {
      let client = try stage.client(form, type)
      var value = mark
      #expect(setsockopt(client.descriptor, SOL_SOCKET, SO_MARK, &value, 4) == 0)
      #expect((client.connect(SocketStage.vip(form.family)) == 0) == isLed)
    }
    withExtendedLifetime(server) {}
  }

  /// Both at one control group, as the root of all is.
  @Test(arguments: ClientForm.allCases) func nodesOnOneMachineDoNotMeet(_ form: ClientForm) throws {
    let cgroup = try TestCgroup()
    let stages = [try SocketStage(cgroup: cgroup, as: [.node]), try SocketStage(cgroup: cgroup, as: [.node])]
    var held: [TestSocket] = []
    for (stage, server) in zip(stages, [UInt8(1), 2]) {
      try stage.balance(form.family, Proto.tcp, servers: [server])
      try stage.balance(form.family, Proto.udp, servers: [server])
      held += try stage.servers(form.family, SOCK_STREAM, [server]) + stage.servers(form.family, SOCK_DGRAM, [server])
    }
    for stage in stages {
      let client = try stage.client(form, SOCK_STREAM)
      #expect(client.connect(SocketStage.vip(form.family)) == 0)
      #expect(client.peer == SocketStage.vip(form.family))
      #expect(try stage.client(form, SOCK_DGRAM).send([1], to: SocketStage.vip(form.family)) == 0)
    }
    #expect(held.allSatisfy { TestSocket.awaitInput([$0]) == 0 })
  }

  @Test(arguments: ClientForm.allCases, [SOCK_STREAM, SOCK_DGRAM])
  func nodePortsAnswerAtTheNodesAddressesAndLoopback(_ form: ClientForm, _ type: __socket_type) throws {
    let stage = try stage(form.family, type == SOCK_STREAM ? Proto.tcp : Proto.udp)
    let own = SocketStage.server(form.family, 4).address
    try stage.know(own, NodeSocketTests.host)
    let server = try stage.servers(form.family, type, [1])
    for address in [own, SocketStage.loopback(form.family), SocketStage.unspecified(form.family)] {
      let client = try stage.client(form, type)
      let service = Endpoint(address: address, port: port)
      #expect(client.connect(service) == 0)
      #expect(client.peer == service)
    }
    let other = try stage.client(form, SOCK_STREAM)
    #expect(other.connect(Endpoint(address: SocketStage.loopback(form.family), port: port + 1)) == ECONNREFUSED)
    withExtendedLifetime(server) {}
  }

  /// A pod's loopback is its own.
  @Test(arguments: ClientForm.allCases) func podsHaveNodePortsAtNodesOnly(_ form: ClientForm) throws {
    let stage = try stage(form.family, as: .pods)
    let node = SocketStage.vip(form.family, 99).address
    try stage.know(node, MARTLET_IDENTITY_REMOTE_NODE.rawValue)
    let server = try stage.servers(form.family, SOCK_STREAM, [1])
    #expect(try stage.client(form, SOCK_STREAM).connect(Endpoint(address: node, port: port)) == 0)
    let loopback = Endpoint(address: SocketStage.loopback(form.family), port: port)
    #expect(try stage.client(form, SOCK_STREAM).connect(loopback) == ECONNREFUSED)
    withExtendedLifetime(server) {}
  }

  struct Bind: CustomTestStringConvertible {
    var testDescription: String
    var family: Family
    var address: Address
    var port: UInt16 = 30080
    var expected: Int32

    static let all: [Bind] = [
      .init(testDescription: "any", family: .ipv4, address: v4(0, 0, 0, 0), expected: EADDRINUSE),
      .init(testDescription: "loopback", family: .ipv4, address: v4(127, 0, 0, 1), expected: EADDRINUSE),
      .init(testDescription: "another port", family: .ipv4, address: v4(0, 0, 0, 0), port: 30081, expected: 0),
      .init(testDescription: "any of IPv6", family: .ipv6, address: v6([], 0), expected: EADDRINUSE),
      .init(testDescription: "loopback of IPv6", family: .ipv6, address: v6([], 1), expected: EADDRINUSE),
      .init(testDescription: "any of both, taken in IPv4", family: .ipv4, address: v6([], 0), expected: EADDRINUSE),
      .init(testDescription: "IPv6, taken in IPv4", family: .ipv4, address: v6([], 1), expected: 0),
      .init(testDescription: "IPv4, taken in IPv6", family: .ipv6, address: v4(0, 0, 0, 0), expected: 0),
    ]
  }

  @Test(arguments: Bind.all, [SOCK_STREAM, SOCK_DGRAM])
  func serversOfTheNodeCanNotTakeANodePort(_ scenario: Bind, _ type: __socket_type) throws {
    let stage = try stage(scenario.family, type == SOCK_STREAM ? Proto.tcp : Proto.udp)
    let form = scenario.address.starts(with: v4(0, 0, 0, 0).prefix(12)) ? ClientForm.ipv4 : .ipv6
    let endpoint = Endpoint(address: scenario.address, port: scenario.port)
    #expect(try stage.client(form, type).bind(endpoint) == scenario.expected)
    // Pods have their own ports, and the other protocol is another port.
    #expect(try stage.client(form, type, in: podNamespace()).bind(endpoint) == 0)
    #expect(try stage.client(form, type == SOCK_STREAM ? SOCK_DGRAM : SOCK_STREAM).bind(endpoint) == 0)
  }

  private func podNamespace() throws -> NetworkNamespace {
    let namespace = try NetworkNamespace.create()
    try NetlinkHandle(in: namespace).setInterface(index: 1, up: true)
    return namespace
  }
}
