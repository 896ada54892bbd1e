import BPF
import CMartletABI
import Testing

/// Senders that are told why their packets do not go on: each answer byte for byte, with its checksums from scratch.
@Suite(.enabled(if: isRoot, "needs root")) struct RefusalTests {
  let syn = TCPFlag.syn

  /// A service without a backend, for a pod.
  @Test(arguments: Carrier.allCases, Family.allCases) func nobodyIsThere(_ carrier: Carrier, _ family: Family) throws {
    let stage = try Balancer(family)
    let (node, a) = (stage.node, stage.node.a)
    try stage.balance(carrier.proto, to: [])
    let asked = stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn)
    let outcome = try node.leaves(asked)
    #expect(outcome.code == redirected && outcome.reason == 158)
    #expect(outcome.events.map(\.service) == [Balancer.number])
    #expect(outcome.bytes == asked.refused(carrier, stage.vip.port, 4000).bytes)
    #expect(try node.counted(158, .egress) == 1)
    #expect(try stage.nat.entries().isEmpty && node.conntrack.entries().isEmpty)
    // What fills a frame up to the least that Ethernet carries is not cited, nor is it data.
    let padded = try node.run("from_container", asked.bytes + [UInt8](repeating: 0x55, count: 20))
    #expect(padded.bytes == outcome.bytes)
    // Only asking what policy says changes nothing.
    #expect(try node.traceLeaving(asked).bytes == asked.bytes)
  }

  /// For clients from outside, by the device that they came in by.
  @Test(arguments: Carrier.allCases, Family.allCases) func nobodyIsThereForTheWorld(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try Gateway(family)
    try gateway.nodePort(carrier.proto, to: [])
    let asked = gateway.frame(gateway.client, gateway.nodePlace, carrier, syn)
    let outcome = try gateway.enters(asked)
    #expect(outcome.code == redirected && outcome.reason == 158)
    #expect(outcome.bytes == asked.refused(carrier, gateway.nodePort, gateway.client.port).bytes)
    #expect(try gateway.node.counted(158, .ingress) == 1)
    // Nothing on its way out takes it for something else.
    #expect(try gateway.node.run("to_netdev", outcome.bytes, outcome.mark).bytes == outcome.bytes)
    // With backends elsewhere that only other nodes lead to, silence.
    try gateway.nodePort(carrier.proto, to: [], flags: MARTLET_SERVICE_DROP.rawValue)
    let dropped = try gateway.enters(asked)
    #expect(dropped.code == shot && dropped.reason == 158)
  }

  /// However long the datagram is, and whatever stands before the transport header.
  @Test(arguments: [0, 1, 200, 1300], Family.allCases) func asMuchAsIsNeededIsCited(_ count: Int, _ family: Family)
    throws
  {
    let stage = try Balancer(family)
    try stage.balance(Proto.udp, to: [])
    var asked = stage.sent(by: stage.node.a, from: 4000, to: stage.vip, .udp)
    asked.payload = udp(4000, 80, data: (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) })
    asked = asked.sealed
    #expect(try stage.node.leaves(asked).bytes == asked.portUnreachable.bytes)
    // RFC 791: no operations; RFC 8200, 4.6: a destination options header of padding.
    asked.options = family == .ipv4 ? [1, 1, 1, 1] : [Proto.udp, 0, 1, 4, 0, 0, 0, 0]
    asked.firstExtension = 60
    #expect(try stage.node.leaves(asked).bytes == asked.portUnreachable.bytes)
    try stage.balance(Proto.tcp, to: [])
    (asked.proto, asked.payload) = (Proto.tcp, tcp(4000, 80, syn))
    if family == .ipv6 { asked.options[0] = Proto.tcp }
    asked = asked.sealed
    #expect(try stage.node.leaves(asked).bytes == asked.reset(80, 4000, next: 2).bytes)
  }

  /// RFC 1122, 3.2.2: only a datagram's first fragment is answered.
  @Test(arguments: Family.allCases) func ofFragmentsTheFirstIsAnswered(_ family: Family) throws {
    let stage = try Balancer(family)
    try stage.balance(Proto.udp, to: [])
    var whole = stage.sent(by: stage.node.a, from: 4000, to: stage.vip, .udp)
    whole.payload = udp(4000, 80, data: [UInt8](repeating: 3, count: 200))
    let parts = whole.sealed.split(at: 64)
    let first = try stage.node.leaves(parts[0])
    #expect(first.code == redirected && first.bytes == parts[0].portUnreachable.bytes)
    let second = try stage.node.leaves(parts[1])
    #expect(second.code == shot && second.reason == 158)
  }

  /// A flood is not answered by another; resets are not limited, as the kernel's are not.
  @Test func errorsAreLimited() throws {
    let stage = try Balancer(.ipv4)
    try stage.balance(Proto.udp, to: [])
    func answered(_ carrier: Carrier) throws -> Int {
      let frame = stage.sent(by: stage.node.a, from: 4000, to: stage.vip, carrier, syn)
      return try (0..<2000).count { _ in try stage.node.leaves(frame).code == redirected }
    }
    let start = ContinuousClock.now
    let errors = try answered(.udp)
    let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
    #expect(errors >= 50 && errors <= possibleCPUCount * (50 + milliseconds + 10))
    #expect(try stage.node.counted(158, .egress) == 2000)
    try stage.balance(Proto.tcp, to: [])
    #expect(try answered(.tcp) == 2000)
  }

  /// A packet that would turn round, and has no hop left, or is longer than its way on takes.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func whatCanNotTurnRoundIsTold(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try Gateway(family)
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    var asked = gateway.frame(gateway.client, gateway.nodePlace, carrier, syn, hopLimit: 1)
    var outcome = try gateway.enters(asked)
    #expect(outcome.code == redirected && outcome.reason == 196 && outcome.mark == UInt32(MARTLET_MARK_TRANSLATED))
    #expect(outcome.bytes == asked.timeExceeded(by: gateway.address).bytes)
    #expect(try gateway.stage.nat.entries().isEmpty)

    asked.hopLimit = 64
    asked.payload += [UInt8](repeating: 9, count: 1600)
    if carrier == .udp { asked.payload.replaceSubrange(4..<6, with: be16(UInt16(asked.payload.count))) }
    asked = asked.sealed
    outcome = try gateway.enters(asked)
    #expect(outcome.code == redirected && outcome.reason == 157)
    #expect(outcome.bytes == asked.tooBig(mtu: 1500, by: gateway.address).bytes)
    #expect(try gateway.stage.nat.entries().isEmpty)

    // On the way back its sender is the backend.
    asked = gateway.frame(gateway.client, gateway.nodePlace, carrier, syn)
    let own = try #require(
      gateway.port(gateway.enters(asked)) {
        gateway.frame(Place(address: gateway.address, port: $0), gateway.backend, carrier, syn, hopLimit: 63)
      })
    let answer = gateway.frame(
      gateway.backend, Place(address: gateway.address, port: own), carrier, TCPFlag.syn | TCPFlag.ack, hopLimit: 1)
    #expect(try gateway.enters(answer).bytes == answer.timeExceeded(by: gateway.address).bytes)
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  /// A direct connection with the ends of one that a service led there would get its answers; it has to wait.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func aTranslatedConnectionKeepsItsWayBack(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let (node, a, b) = (stage.node, stage.node.a, stage.node.b)
    let backend = Place(address: b.address(family), port: 8080)
    let client = Place(address: a.address(family), port: 4000)
    try stage.balance(carrier.proto, to: [backend])
    #expect(try node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn)).code == redirected)
    func goesOn() throws {
      let answer = try node.leaves(stage.sent(by: b, from: 8080, to: client, carrier, syn | TCPFlag.ack))
      #expect(answer.bytes == stage.received(by: a, port: 4000, from: stage.vip, carrier, syn | TCPFlag.ack).bytes)
    }
    try goesOn()
    let direct = stage.sent(by: a, from: 4000, to: backend, carrier, syn)
    let refused = try node.leaves(direct)
    #expect(refused.code == redirected && refused.reason == 167)
    #expect(refused.bytes == direct.refused(carrier, 8080, 4000).bytes)
    try goesOn()
    if carrier == .tcp {
      let back = stage.sent(by: b, from: 8080, to: client, carrier, syn)
      #expect(try node.leaves(back).reason == 167)
      // Reset by its server, it is over.
      _ = try node.leaves(stage.sent(by: b, from: 8080, to: client, carrier, TCPFlag.rst))
    } else {
      try node.changeConnection { $0.expires = 0 }
    }
    #expect(try node.leaves(direct).bytes == direct.delivered(to: b).bytes)
    let answer = stage.sent(by: b, from: 8080, to: client, carrier, syn | TCPFlag.ack)
    #expect(try node.leaves(answer).bytes == answer.delivered(to: a).bytes)
  }
}
