import BPF
import CMartletABI
import Testing

/// What services count.
@Suite(.enabled(if: isRoot, "needs root")) struct TrafficTests {
  private struct Volume: Equatable {
    var packets: [UInt64] = [0, 0]
    var bytes: [UInt64] = [0, 0]
  }

  private func volume(_ node: Node) throws -> Volume {
    let map = try PerCPUMap<UInt32, martlet_service_traffic>(node.loaded.map("martlet_service_traffic"))
    #expect(try map.entries().allSatisfy { $0.key == Balancer.number })
    return try (map.lookup(Balancer.number) ?? []).reduce(into: Volume()) { sum, one in
      sum.packets = [sum.packets[0] + one.there.packets, sum.packets[1] + one.back.packets]
      sum.bytes = [sum.bytes[0] + one.there.bytes, sum.bytes[1] + one.back.bytes]
    }
  }

  private func expected(_ there: [Frame], _ back: [Frame]) -> Volume {
    func bytes(_ frames: [Frame]) -> UInt64 { frames.reduce(0) { $0 + UInt64($1.packet.count) } }
    return Volume(packets: [UInt64(there.count), UInt64(back.count)], bytes: [bytes(there), bytes(back)])
  }

  @Test(arguments: Carrier.allCases, Family.allCases) func translatedPacketsAreCounted(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let (node, a, b) = (stage.node, stage.node.a, stage.node.b)
    let backend = Place(address: b.address(family), port: carrier.backendPort)
    try stage.balance(carrier.proto, to: [backend])
    let there = [TCPFlag.syn, TCPFlag.ack].map { stage.sent(by: a, from: 4000, to: stage.vip, carrier, $0) }
    let back = [
      stage.sent(by: b, from: backend.port, to: Place(address: a.address(family), port: 4000), carrier)
    ]
    for frame in there + back { #expect(try node.leaves(frame).code == redirected) }
    #expect(try volume(node) == expected(there, back))
  }

  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func packetsThatTurnRoundAreCounted(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try Gateway(family)
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    let there = gateway.frame(gateway.client, gateway.nodePlace, carrier, TCPFlag.syn)
    let own = try #require(
      gateway.port(gateway.enters(there)) {
        gateway.frame(Place(address: gateway.address, port: $0), gateway.backend, carrier, TCPFlag.syn, hopLimit: 63)
      })
    let back = gateway.frame(gateway.backend, Place(address: gateway.address, port: own), carrier)
    #expect(try gateway.enters(back).code == redirected)
    #expect(try volume(gateway.node) == expected([there], [back]))
  }

  /// What a socket was led to needs no translation: its connection says by which service.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func connectionsOfSocketsAreCounted(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let (node, a, b) = (stage.node, stage.node.a, stage.node.b)
    let there = stage.sent(by: a, from: 4000, to: Place(address: b.address(family), port: 8080), carrier)
    let back = stage.sent(by: b, from: 8080, to: Place(address: a.address(family), port: 4000), carrier)
    #expect(try node.leaves(there).code == redirected)
    #expect(try volume(node) == Volume())
    try node.changeConnection { $0.service = Balancer.number }
    for frame in [there, back, there] { #expect(try node.leaves(frame).code == redirected) }
    #expect(try volume(node) == expected([there, there], [back]))
  }
}
