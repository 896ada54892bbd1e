import CMartletABI
import Glibc
import Testing

/// Backends elsewhere that answer clients themselves: what the client's node says, and what the backend's makes of it.
@Suite(.enabled(if: isRoot, "needs root")) struct DirectReturnTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack

  private func gateway(
    _ way: Way, _ flags: [martlet_config_flags] = [MARTLET_CONFIG_DSR_TCP, MARTLET_CONFIG_DSR_UDP]
  ) throws -> Gateway {
    let gateway = try Gateway(way)
    gateway.node.settings.flags |= flags.reduce(0) { $0 | $1.rawValue }
    return gateway
  }

  /// The packet, with the service that was asked.
  private func telling(_ asked: Place, _ frame: Frame) -> Frame {
    var frame = frame
    switch frame.family {
    case .ipv4: frame.options = [0x9a, 8] + be16(asked.port) + asked.address.suffix(4)
    case .ipv6:
      frame.firstExtension = 60
      frame.options = [frame.proto, 2, 0x1b, 20] + asked.address + be16(asked.port) + [0, 0]
    }
    return frame
  }

  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func theClientsNodeTells(_ carrier: Carrier, _ way: Way) throws
  {
    let gateway = try gateway(way)
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    var told = 0
    for flags in [syn, TCPFlag.ack, TCPFlag.ack] {
      let sent = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, carrier, flags))
      let plain = gateway.frame(gateway.client, gateway.backend, carrier, flags, hopLimit: 63)
      let tells = carrier != .tcp || flags == syn
      #expect(sent.code == redirected && sent.mark == UInt32(MARTLET_MARK_TRANSLATED))
      #expect(sent.bytes == (tells ? telling(gateway.nodePlace, plain) : plain).bytes)
      #expect(sent.events.map(\.service) == (flags == syn ? [Balancer.number] : []))
      told += tells ? 1 : 0
    }
    #expect(gateway.sentOn == (way.entrance == .xdp ? 3 - told : 0))
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func theBackendsNodeAnswers(
    _ carrier: Carrier, _ way: Way
  ) throws {
    let gateway = try gateway(way, [])
    let (node, stage, client, b, asked) = (
      gateway.node, gateway.stage, gateway.client, gateway.node.b, gateway.stage.vip
    )
    for round in 0..<2 {
      let frame = telling(asked, gateway.frame(client, gateway.local, carrier, syn))
      let entered = try gateway.enters(frame)
      #expect(entered.code == passed && entered.mark == 0 && entered.bytes == frame.bytes)
      let brought = stage.brought(to: b, port: 8080, from: client, carrier, syn)
      #expect(try node.arrives(brought).bytes == brought.bytes)
      #expect(try node.connection().flags & MARTLET_CT_TRANSLATED.rawValue != 0)
      let answer = try node.leaves(stage.sent(by: b, from: 8080, to: client, carrier, synAck))
      var expected = stage.sent(by: b, from: 0, to: client, carrier)
      expected.source = asked.address
      expected.payload = carrier.payload(asked.port, client.port, synAck)
      #expect(answer.code == passed && answer.bytes == carrier.seal(expected).bytes, "round \(round)")
      // On its way out nobody takes it for a pod's.
      let gone = gateway.frame(asked, client, carrier, synAck)
      #expect(try gateway.departs(gone).bytes == gone.bytes)
    }
    #expect(try stage.nat.entries().count == 2)
  }

  /// UDP as without, TCP directly.
  @Test(arguments: Way.all) func hybrid(_ way: Way) throws {
    let gateway = try gateway(way, [MARTLET_CONFIG_DSR_TCP])
    try gateway.nodePort(Proto.udp, to: [gateway.backend])
    let sent = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .udp))
    #expect(
      gateway.port(sent) {
        gateway.frame(Place(address: gateway.address, port: $0), gateway.backend, .udp, hopLimit: 63)
      } != nil)
    #expect(gateway.sentOn == (way.entrance == .xdp ? 1 : 0))
  }

  /// A datagram without room for the service's address goes with the node's; a later one of a connection that was told as it is.
  @Test(arguments: Way.all) func datagramsWithoutRoom(_ way: Way) throws {
    let gateway = try gateway(way)
    try gateway.nodePort(Proto.udp, to: [gateway.backend])
    let most = way.family == .ipv4 ? 1500 - 28 : 1500 - 48
    func frame(_ from: Place, _ to: Place, _ size: Int, hopLimit: UInt8 = 64) -> Frame {
      var frame = gateway.frame(from, to, .udp, hopLimit: hopLimit)
      frame.payload = udp(from.port, to.port, data: [UInt8](repeating: 7, count: size))
      return frame.sealed
    }
    let other = Place(address: gateway.client.address, port: 4001)
    let sent = try gateway.enters(frame(other, gateway.nodePlace, most))
    #expect(
      gateway.port(sent) {
        frame(Place(address: gateway.address, port: $0), gateway.backend, most, hopLimit: 63)
      } != nil)
    for size in [10, most] {
      let sent = try gateway.enters(frame(gateway.client, gateway.nodePlace, size))
      let plain = frame(gateway.client, gateway.backend, size, hopLimit: 63)
      #expect(sent.bytes == (size == 10 ? telling(gateway.nodePlace, plain) : plain).bytes)
    }
  }

  /// Only one direction passes: what the other one says is told by this one.
  @Test(arguments: Family.allCases) func lifetimes(_ family: Family) throws {
    let gateway = try gateway(Way(family: family, entrance: .tc))
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    func lives() throws -> [Int] { try gateway.stage.nat.entries().map { Int($0.value.expires) - now.tv_sec } }
    for (flags, seconds) in [(syn, 60), (TCPFlag.ack, 21600), (TCPFlag.fin | TCPFlag.ack, 10), (TCPFlag.ack, 10)] {
      #expect(try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .tcp, flags)).code == redirected)
      let left = try lives()
      #expect(left.allSatisfy { abs($0 - seconds) <= 2 }, "\(flags): \(left)")
    }
  }

  /// What is no such option, and what is not for this node.
  @Test(arguments: Family.allCases) func whatIsNotLearned(_ family: Family) throws {
    let gateway = try gateway(Way(family: family, entrance: .tc), [])
    let right = telling(gateway.stage.vip, gateway.frame(gateway.client, gateway.local, .tcp, syn))
    var frames = [telling(gateway.stage.vip, gateway.frame(gateway.client, gateway.backend, .tcp, syn))]
    frames.append(telling(gateway.stage.vip, gateway.frame(gateway.client, gateway.local, .tcp, TCPFlag.ack)))
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
