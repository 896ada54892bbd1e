import CMartletABI
import Testing

/// Services for clients from outside: each packet byte for byte, with its checksums from scratch; the same whether or not XDP
/// sees them first.
@Suite(.enabled(if: isRoot, "needs root")) struct OutsideTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack

  /// A backend on this node sees the client, and answers it by way of the stack.
  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func aPodOfThisNodeSeesTheClient(
    _ carrier: Carrier, _ way: Way
  ) throws {
    let gateway = try Gateway(way)
    let (node, client, b) = (gateway.node, gateway.client, gateway.node.b)
    try gateway.nodePort(carrier.proto, to: [gateway.local])
    let entered = try gateway.enters(gateway.frame(client, gateway.nodePlace, carrier, syn))
    #expect(entered.code == passed && entered.mark == 0)
    #expect(entered.bytes == gateway.frame(client, gateway.local, carrier, syn).bytes)
    let brought = gateway.stage.brought(to: b, port: 8080, from: client, carrier, syn)
    let arrived = try node.arrives(brought)
    #expect(arrived.code == passed && arrived.bytes == brought.bytes)
    #expect(arrived.events.map(\.service) == [Balancer.number])
    let connection = try node.connection()
    #expect(connection.service == Balancer.number && connection.flags & MARTLET_CT_TRANSLATED.rawValue != 0)

    let answer = try node.leaves(gateway.stage.sent(by: b, from: 8080, to: client, carrier, synAck))
    #expect(answer.code == passed)
    var expected = gateway.stage.sent(by: b, from: 0, to: client, carrier)
    expected.source = gateway.address
    expected.payload = carrier.payload(gateway.nodePort, client.port, synAck)
    #expect(answer.bytes == carrier.seal(expected).bytes)
    let gone = gateway.frame(gateway.nodePlace, client, carrier, synAck)
    let departed = try gateway.departs(gone)
    #expect(departed.code == passed && departed.bytes == gone.bytes)
  }

  /// A backend elsewhere sees the node, so that its answers come by here.
  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func aBackendElsewhereSeesTheNode(
    _ carrier: Carrier, _ way: Way
  ) throws {
    let gateway = try Gateway(way)
    let (client, backend) = (gateway.client, gateway.backend)
    try gateway.nodePort(carrier.proto, to: [backend])
    var ports: Set<UInt16> = []
    for flags in [syn, TCPFlag.ack] {
      let there = try gateway.enters(gateway.frame(client, gateway.nodePlace, carrier, flags))
      #expect(there.code == redirected && there.mark == UInt32(MARTLET_MARK_TRANSLATED))
      let port = try #require(
        gateway.port(there) {
          gateway.frame(Place(address: gateway.address, port: $0), backend, carrier, flags, hopLimit: 63)
        })
      ports.insert(port)
      let own = Place(address: gateway.address, port: port)
      let gone = gateway.frame(own, backend, carrier, flags, hopLimit: 63)
      let departed = try gateway.departs(gone, mark: there.mark)
      #expect(departed.code == passed && departed.bytes == gone.bytes)
      let back = try gateway.enters(gateway.frame(backend, own, carrier, synAck))
      #expect(back.code == redirected && back.mark == UInt32(MARTLET_MARK_TRANSLATED))
      #expect(back.bytes == gateway.frame(gateway.nodePlace, client, carrier, synAck, hopLimit: 63).bytes)
    }
    #expect(ports.count == 1)
    #expect(try gateway.stage.nat.entries().count == 2)
    #expect(gateway.sentOn == (way.entrance == .xdp ? 4 : 0))
  }

  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func errorsFindTheirWay(
    _ carrier: Carrier, _ way: Way
  ) throws {
    let gateway = try Gateway(way)
    let (client, backend) = (gateway.client, gateway.backend)
    try gateway.nodePort(carrier.proto, to: [backend])
    let asked = gateway.frame(client, gateway.nodePlace, carrier, syn)
    let own = try #require(
      gateway.port(gateway.enters(asked)) {
        gateway.frame(Place(address: gateway.address, port: $0), backend, carrier, syn, hopLimit: 63)
      })
    let place = Place(address: gateway.address, port: own)
    func error(_ from: Place, _ to: Place, citing: Frame, hopLimit: UInt8 = 64) -> Frame {
      gateway.stage.unreachable(gateway.frame(from, to, carrier, hopLimit: hopLimit), citing: citing)
    }
    // The backend's, and a router's on the way there.
    let sent = gateway.frame(place, backend, carrier, syn, hopLimit: 60)
    var seen = asked
    seen.hopLimit = 60
    let router = Place(address: way.family == .ipv4 ? v4(192, 0, 2, 77) : v6([0x20, 1, 0xd, 0xb8], 77), port: 0)
    for (from, named) in [(backend, gateway.nodePlace), (router, router)] {
      let told = try gateway.enters(error(from, place, citing: sent))
      #expect(told.code == redirected)
      #expect(told.bytes == error(named, client, citing: seen, hopLimit: 63).bytes)
    }
    // The client's.
    let answer = gateway.frame(backend, place, carrier, synAck, hopLimit: 60)
    #expect(try gateway.enters(answer).code == redirected)
    let got = gateway.frame(gateway.nodePlace, client, carrier, synAck, hopLimit: 60)
    let told = try gateway.enters(error(client, gateway.nodePlace, citing: got))
    #expect(told.code == redirected)
    #expect(told.bytes == error(place, backend, citing: answer, hopLimit: 63).bytes)
  }

  /// What says who may come in, and that nobody is there.
  @Test(arguments: Way.all) func clientsFromOutsideHaveRulesOfTheirOwn(_ way: Way) throws {
    let gateway = try Gateway(way)
    let (stage, node) = (gateway.stage, gateway.node)
    func reason(_ place: Place) throws -> UInt32? {
      let frame = gateway.frame(gateway.client, place, .tcp, syn)
      let outcome = try gateway.enters(frame)
      return outcome.code == passed && outcome.bytes == frame.bytes ? nil : outcome.reason
    }
    // A ClusterIP is nothing to them.
    try stage.balance(Proto.tcp, to: [gateway.local])
    #expect(try reason(stage.vip) == nil)
    // Source ranges, which name somebody else and then the client.
    let balanced = Place(address: stage.vip.address, port: 443)
    try stage.service(11, Proto.tcp, [gateway.local], flags: MARTLET_SERVICE_SOURCE_RANGES.rawValue)
    try stage.frontend(balanced, Proto.tcp, external: 11)
    #expect(try reason(balanced) == 177)
    let ranges = try node.loaded.map(
      "martlet_source_ranges", key: martlet_source_range_key.self, value: UInt8.self)
    var key = martlet_source_range_key()
    key.prefix_length = 32 + 128
    key.service = 11
    withUnsafeMutableBytes(of: &key.address) { $0.copyBytes(from: gateway.client.address) }
    try ranges.update(key, 1)
    #expect(try reason(balanced) == 0)
    // No backend here, or nowhere.
    try gateway.nodePort(Proto.tcp, to: [], flags: MARTLET_SERVICE_DROP.rawValue)
    #expect(try reason(gateway.nodePlace) == 158)
    // In the middle of a connection that nobody remembers.
    try gateway.nodePort(Proto.tcp, to: [gateway.local])
    #expect(try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .tcp)).reason == 167)
  }

  /// An answer to a pod is judged as what the pod asked, and rewritten after that, at the pod.
  @Test(arguments: Way.all) func answersToPodsAreLeftToThePod(_ way: Way) throws {
    let gateway = try Gateway(way)
    let (stage, a) = (gateway.stage, gateway.node.a)
    try stage.balance(Proto.tcp, to: [gateway.backend])
    #expect(
      try gateway.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, .tcp, syn)).bytes
        == stage.sent(by: a, from: 4000, to: gateway.backend, .tcp, syn).bytes)
    let answer = gateway.frame(gateway.backend, Place(address: a.address(way.family), port: 4000), .tcp, synAck)
    let entered = try gateway.enters(answer)
    #expect(entered.code == passed && entered.bytes == answer.bytes)
    #expect(
      try gateway.node.arrives(stage.brought(to: a, port: 4000, from: gateway.backend, .tcp, synAck)).bytes
        == stage.brought(to: a, port: 4000, from: stage.vip, .tcp, synAck).bytes)
  }

  /// A pod of another node is a client of the cluster.
  @Test(arguments: Way.all) func podsElsewhereAreOfTheCluster(_ way: Way) throws {
    let gateway = try Gateway(way)
    try gateway.node.know(gateway.backend.address, 128, Peer.elsewhere)
    try gateway.stage.balance(Proto.tcp, to: [gateway.local])
    let asking = Place(address: gateway.backend.address, port: 4000)
    let outcome = try gateway.enters(gateway.frame(asking, gateway.stage.vip, .tcp, syn))
    #expect(outcome.code == passed && outcome.bytes == gateway.frame(asking, gateway.local, .tcp, syn).bytes)
  }

  @Test(arguments: Way.all) func whatCanNotGoOnIsDropped(_ way: Way) throws {
    let gateway = try Gateway(way)
    let nowhere = Place(address: way.family == .ipv4 ? v4(203, 0, 113, 1) : v6([0x20, 1, 0xd, 0xb9], 1), port: 8080)
    try gateway.stage.service(11, Proto.tcp, [nowhere])
    try gateway.stage.frontend(gateway.stage.vip, Proto.tcp, external: 11)
    #expect(try gateway.enters(gateway.frame(gateway.client, gateway.stage.vip, .tcp, syn)).reason == 169)
  }

  /// A server of the node itself, which is told the client's address.
  @Test(arguments: [Carrier.tcp, .udp], Way.all) func theNodeAnswers(_ carrier: Carrier, _ way: Way)
    throws
  {
    let gateway = try Gateway(way)
    let server = Place(address: gateway.address, port: 8080)
    try gateway.nodePort(carrier.proto, to: [server])
    var backend = try #require(try gateway.stage.backends.lookup(Balancer.number * 100 + 1))
    backend.flags = UInt8(MARTLET_BACKEND_LOCAL.rawValue)
    try gateway.stage.backends.update(Balancer.number * 100 + 1, backend)
    // Policy sees what the server sees.
    gateway.node.settings.flags |= MARTLET_CONFIG_HOST_POLICY.rawValue
    try gateway.node.rules(1, [.init(.ingress, .allow, 4, proto: carrier.proto, port: 8080)])
    let entered = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, carrier, syn))
    #expect(entered.code == passed)
    #expect(entered.bytes == gateway.frame(gateway.client, server, carrier, syn).bytes)
    let answer = try gateway.departs(gateway.frame(server, gateway.client, carrier, synAck))
    #expect(answer.code == passed)
    #expect(answer.bytes == gateway.frame(gateway.nodePlace, gateway.client, carrier, synAck).bytes)
  }

  /// What a device shows that listens to everything is another machine's to judge, to drop and to send on.
  @Test(arguments: Way.all) func otherMachinesFramesAreLeftAlone(_ way: Way) throws {
    let gateway = try Gateway(way)
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    gateway.node.settings.flags |= MARTLET_CONFIG_HOST_POLICY.rawValue
    try gateway.node.rules(1, [])
    for place in [gateway.nodePlace, Place(address: gateway.address, port: 22)] {
      var frame = gateway.frame(gateway.client, place, .tcp, syn)
      frame.destinationMAC = [2, 5, 5, 5, 5, 5]
      let outcome = try gateway.enters(frame)
      #expect(outcome.code == passed && outcome.bytes == frame.bytes && outcome.events.isEmpty)
    }
    #expect(try gateway.stage.nat.entries().isEmpty)
  }
}
