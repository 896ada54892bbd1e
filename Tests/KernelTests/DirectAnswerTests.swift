import CMartletABI
import Testing

/// Who tells a node in whose name its backend is to answer, and is not believed. Where nothing else is said, the client may
/// ask ``Gateway/vip`` and the NodePort, and the pod b is the backend of both.
struct Untold: CustomTestStringConvertible {
  var testDescription: String
  var asked: @Sendable (Gateway) throws -> Place
  var to: @Sendable (Gateway) -> Place = { $0.local }
  var reason: UInt32 = 167

  static let all: [Untold] = [
    .init(testDescription: "an address of nobody's") { gateway in
      Place(address: Array(gateway.stage.world.dropLast()) + [9], port: 80)
    },
    .init(testDescription: "another port") { Place(address: $0.stage.vip.address, port: 81) },
    .init(testDescription: "a NodePort at an address of no node") {
      Place(address: $0.stage.vip.address, port: $0.nodePort)
    },
    .init(
      testDescription: "a service that another pod is behind", asked: { $0.stage.vip },
      to: { Place(address: $0.node.a.address($0.family), port: 8080) }),
    .init(
      testDescription: "another port of the backend's", asked: { $0.stage.vip },
      to: { Place(address: $0.local.address, port: 9090) }),
    .init(testDescription: "a service for the cluster alone") { gateway in
      let inside = Place(address: gateway.stage.vip.address, port: 82)
      try gateway.stage.frontend(inside, Proto.tcp)
      try gateway.answers(gateway.local, for: inside, Proto.tcp)
      return inside
    },
    .init(
      testDescription: "a service for other clients",
      asked: { gateway in
        let guarded = Place(address: gateway.stage.vip.address, port: 443)
        try gateway.stage.service(11, Proto.tcp, [gateway.local], flags: MARTLET_SERVICE_SOURCE_RANGES.rawValue)
        try gateway.stage.frontend(guarded, Proto.tcp, external: 11)
        try gateway.answers(gateway.local, for: guarded, Proto.tcp)
        return guarded
      }, reason: 177),
    .init(testDescription: "a service that is gone") { gateway in
      try gateway.stage.services.delete(Balancer.number)
      return gateway.stage.vip
    },
  ]
}

/// Backends of this node that answer clients of others themselves.
@Suite(.enabled(if: isRoot, "needs root")) struct DirectAnswerTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack

  /// Another node's.
  private func otherNode(_ gateway: Gateway) -> Place {
    Place(
      address: gateway.family == .ipv4 ? v4(192, 0, 2, 2) : v6([0x20, 1, 0xd, 0xb8], 2), port: gateway.nodePort)
  }

  private func gateway(_ way: Way, _ proto: UInt8) throws -> Gateway {
    let gateway = try Gateway(way)
    try gateway.node.know(otherNode(gateway).address, 128, MARTLET_IDENTITY_REMOTE_NODE.rawValue)
    try gateway.nodePort(proto, to: [gateway.local])
    try gateway.stage.frontend(gateway.stage.vip, proto, external: Balancer.number)
    for place in [gateway.anyNode, gateway.stage.vip] { try gateway.answers(gateway.local, for: place, proto) }
    return gateway
  }

  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func theBackendsNodeAnswers(
    _ carrier: Carrier, _ way: Way
  ) throws {
    let gateway = try gateway(way, carrier.proto)
    let (node, stage, b) = (gateway.node, gateway.stage, gateway.node.b)
    for (asked, client) in [
      (stage.vip, gateway.client), (otherNode(gateway), Place(address: gateway.client.address, port: 4001)),
    ] {
      for round in 0..<2 {
        let plain = gateway.frame(client, gateway.local, carrier, syn)
        let entered = try gateway.enters(gateway.telling(asked, plain))
        #expect(entered.code == passed && entered.mark == 0 && entered.bytes == plain.bytes)
        let brought = stage.brought(to: b, port: 8080, from: client, carrier, syn)
        let arrived = try node.arrives(brought)
        #expect(arrived.bytes == brought.bytes)
        #expect(arrived.events.map(\.service) == (round == 0 || carrier == .tcp ? [Balancer.number] : []))
        let answer = try node.leaves(stage.sent(by: b, from: 8080, to: client, carrier, synAck))
        var expected = stage.sent(by: b, from: 0, to: client, carrier)
        expected.source = asked.address
        expected.payload = carrier.payload(asked.port, client.port, synAck)
        #expect(answer.code == passed && answer.bytes == carrier.seal(expected).bytes, "round \(round)")
        // On its way out nobody takes it for a pod's.
        let gone = gateway.frame(asked, client, carrier, synAck)
        #expect(try gateway.departs(gone).bytes == gone.bytes)
      }
    }
    #expect(try stage.nat.entries().count == 4)
    #expect(
      try node.conntrack.entries().allSatisfy {
        $0.value.service == Balancer.number && $0.value.flags & MARTLET_CT_TRANSLATED.rawValue != 0
      })
  }

  /// The pod's, and those of the node's own stack, about what it was told.
  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func errorsSpeakOfTheService(
    _ carrier: Carrier, _ way: Way
  ) throws {
    let gateway = try gateway(way, carrier.proto)
    let (stage, b, client) = (gateway.stage, gateway.node.b, gateway.client)
    let plain = gateway.frame(client, gateway.local, carrier, syn)
    _ = try gateway.enters(gateway.telling(stage.vip, plain))
    _ = try gateway.node.arrives(stage.brought(to: b, port: 8080, from: client, carrier, syn))
    let seen = gateway.frame(client, stage.vip, carrier, syn)
    let error = stage.unreachable(stage.sent(by: b, from: 8080, to: client, carrier), citing: plain)
    var expected = error
    expected.source = stage.vip.address
    expected = stage.unreachable(expected, citing: seen)
    #expect(try gateway.node.leaves(error).bytes == expected.bytes)
    let own = stage.unreachable(gateway.frame(gateway.nodePlace, client, carrier), citing: plain)
    #expect(
      try gateway.departs(own).bytes
        == stage.unreachable(gateway.frame(gateway.nodePlace, client, carrier), citing: seen).bytes)
  }

  @Test(arguments: Untold.all, Way.all) func nobodyElseIsBelieved(_ scenario: Untold, _ way: Way) throws {
    let gateway = try gateway(way, Proto.tcp)
    let plain = gateway.frame(gateway.client, scenario.to(gateway), .tcp, syn)
    let outcome = try gateway.enters(gateway.telling(scenario.asked(gateway), plain))
    #expect(outcome.code == shot && outcome.reason == scenario.reason)
    let event = try #require(outcome.events.first)
    #expect(outcome.events.count == 1 && event.destination_port == scenario.to(gateway).port.bigEndian)
    #expect(try gateway.stage.nat.entries().isEmpty)
  }

  /// A pod of another node may ask what is for the cluster alone.
  @Test(arguments: Way.all) func podsElsewhereAreOfTheCluster(_ way: Way) throws {
    let gateway = try Gateway(way)
    try gateway.node.know(gateway.backend.address, 128, Peer.elsewhere)
    try gateway.stage.balance(Proto.tcp, to: [gateway.local])
    try gateway.answers(gateway.local, for: gateway.stage.vip, Proto.tcp)
    let plain = gateway.frame(Place(address: gateway.backend.address, port: 4000), gateway.local, .tcp, syn)
    #expect(try gateway.enters(gateway.telling(gateway.stage.vip, plain)).bytes == plain.bytes)
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  /// An IPv4 service may not be asked in IPv6, where its address has a form that nobody may claim.
  @Test func theFormOfAnIPv4Address() throws {
    let gateway = try gateway(Way(family: .ipv6, entrance: .tc), Proto.tcp)
    let asked = Place(address: v4(10, 96, 0, 10), port: 80)
    try gateway.stage.frontend(asked, Proto.tcp, external: Balancer.number)
    try gateway.answers(gateway.local, for: asked, Proto.tcp)
    let frame = gateway.telling(asked, gateway.frame(gateway.client, gateway.local, .tcp, syn))
    #expect(try gateway.enters(frame).reason == 167)
    #expect(try gateway.stage.nat.entries().isEmpty)
  }

  /// A connection that this node leads elsewhere itself is nobody's to turn.
  @Test(arguments: Way.all) func aConnectionThatIsThereStays(_ way: Way) throws {
    let gateway = try gateway(way, Proto.tcp)
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    let asked = gateway.frame(gateway.client, gateway.nodePlace, .tcp, syn)
    let before = try gateway.enters(asked).bytes
    let told = gateway.telling(gateway.nodePlace, gateway.frame(gateway.client, gateway.local, .tcp, syn))
    #expect(try gateway.enters(told).reason == 167)
    #expect(try gateway.enters(asked).bytes == before)
  }

  /// The other node has chosen another backend here, for its client began anew.
  @Test(arguments: [Carrier.tcp, .udp], Way.all) func anotherBackendIsTold(_ carrier: Carrier, _ way: Way) throws {
    let gateway = try gateway(way, carrier.proto)
    let other = Place(address: gateway.node.a.address(way.family), port: 8080)
    try gateway.answers(other, for: gateway.stage.vip, carrier.proto)
    for place in [gateway.local, other] {
      let plain = gateway.frame(gateway.client, place, carrier, syn)
      #expect(try gateway.enters(gateway.telling(gateway.stage.vip, plain)).bytes == plain.bytes)
    }
    _ = try gateway.node.arrives(
      gateway.stage.brought(to: gateway.node.a, port: 8080, from: gateway.client, carrier, syn))
    let answer = try gateway.node.leaves(
      gateway.stage.sent(by: gateway.node.a, from: 8080, to: gateway.client, carrier, synAck))
    var expected = gateway.stage.sent(by: gateway.node.a, from: 0, to: gateway.client, carrier)
    expected.source = gateway.stage.vip.address
    expected.payload = carrier.payload(gateway.stage.vip.port, gateway.client.port, synAck)
    #expect(answer.bytes == carrier.seal(expected).bytes)
  }

  /// What is no such option, and what is not for this node.
  @Test(arguments: Family.allCases) func whatIsNotLearned(_ family: Family) throws {
    let gateway = try gateway(Way(family: family, entrance: .tc), Proto.tcp)
    let asked = gateway.stage.vip
    let right = gateway.telling(asked, gateway.frame(gateway.client, gateway.local, .tcp, syn))
    var frames = [gateway.telling(asked, gateway.frame(gateway.client, gateway.backend, .tcp, syn))]
    frames.append(gateway.telling(asked, gateway.frame(gateway.client, gateway.local, .tcp, TCPFlag.ack)))
    for (index, value) in [(family == .ipv4 ? 0 : 2, 1), (family == .ipv4 ? 1 : 3, 4)] {
      frames.append(right)
      frames[frames.count - 1].options[index] = UInt8(value)
    }
    for frame in frames {
      let outcome = try gateway.enters(frame)
      #expect(outcome.code == passed && outcome.bytes == frame.bytes)
    }
    #expect(try gateway.stage.nat.entries().isEmpty)
  }
}
