import Addressing
import BPF
import CMartletABI
import Netlink
import Testing

/// A frame that is none of XDP's business.
struct LeftAlone: CustomTestStringConvertible {
  var testDescription: String
  var make: @Sendable (Gateway, Frame) -> [[UInt8]]

  static let all: [LeftAlone] = [
    .init(testDescription: "ARP") { _, frame in [frame.bytes.replacing(at: 12, [0x08, 0x06])] },
    .init(testDescription: "a VLAN's") { _, frame in
      [Array(frame.bytes.prefix(12)) + [0x81, 0, 0, 7] + frame.bytes.dropFirst(12)]
    },
    .init(testDescription: "to a group of machines") { _, frame in [frame.bytes.replacing(at: 0, [1, 0, 0x5e])] },
    .init(testDescription: "to another machine") { _, frame in [frame.bytes.replacing(at: 0, [2, 5, 5, 5, 5, 5])] },
    .init(testDescription: "the last hop") { _, frame in
      var frame = frame
      frame.hopLimit = 1
      return [frame.bytes]
    },
    .init(testDescription: "fragments") { _, frame in frame.split(at: 8).map(\.bytes) },
    .init(testDescription: "cut off") { _, frame in [Array(frame.bytes.dropLast(4)), Array(frame.bytes.prefix(20))] },
    .init(testDescription: "an error") { gateway, frame in [gateway.stage.unreachable(frame, citing: frame).bytes] },
    .init(testDescription: "a ping") { gateway, frame in
      var frame = frame
      (frame.proto, frame.payload) = (gateway.family.icmp, icmp(gateway.family.echoRequest, id: 77))
      return [frame.sealed.bytes]
    },
    .init(testDescription: "SCTP") { gateway, frame in
      [gateway.frame(gateway.client, gateway.nodePlace, .sctp, TCPFlag.syn).bytes]
    },
    .init(testDescription: "to another port") { gateway, frame in
      [gateway.frame(gateway.client, Place(address: gateway.address, port: 22), .tcp, TCPFlag.syn).bytes]
    },
    .init(testDescription: "of a connection that nobody remembers") { gateway, frame in
      [gateway.frame(gateway.client, gateway.nodePlace, .tcp, TCPFlag.ack).bytes]
    },
    .init(testDescription: "a checksum that was left to the device") { _, frame in [frame.unfinished.bytes] },
  ]
}

extension [UInt8] {
  fileprivate func replacing(at index: Int, _ bytes: [UInt8]) -> [UInt8] {
    Array(prefix(index)) + bytes + dropFirst(index + bytes.count)
  }
}

/// What XDP sends on, and what it leaves to traffic control. Packet by packet the two are compared in ``OutsideTests``.
@Suite(.enabled(if: isRoot, "needs root")) struct WireTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack

  @Test(arguments: LeftAlone.all, Family.allCases) func leaves(_ scenario: LeftAlone, _ family: Family) throws {
    let gateway = try Gateway(family)
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    let frame = gateway.frame(gateway.client, gateway.nodePlace, .tcp, syn)
    for bytes in scenario.make(gateway, frame) {
      let outcome = try gateway.node.runOnWire(bytes)
      #expect(outcome.code == XDPAction.pass && outcome.bytes == bytes && outcome.events.isEmpty)
    }
    #expect(try gateway.stage.nat.entries().isEmpty)
    let fragments = try gateway.node.loaded.map(
      "martlet_fragments", key: martlet_fragment_key.self, value: martlet_fragment_entry.self)
    #expect(try fragments.entries().isEmpty)
  }

  /// Answers to what pods ask in the node's name are for this node.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func leavesWhatPodsAsked(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try Gateway(Way(family: family, entrance: .xdp))
    let pod = Place(address: gateway.node.a.address(family), port: 4000)
    let server = Place(address: gateway.stage.world, port: 443)
    let out = try gateway.departs(gateway.frame(pod, server, carrier, syn))
    let port = try #require(
      gateway.port(out) { gateway.frame(Place(address: gateway.address, port: $0), server, carrier, syn) })
    let back = try gateway.enters(
      gateway.frame(server, Place(address: gateway.address, port: port), carrier, synAck))
    #expect(back.bytes == gateway.frame(server, pod, carrier, synAck).bytes && gateway.sentOn == 0)
  }

  /// A device that nobody named.
  @Test(arguments: Family.allCases) func leavesOtherDevicesAlone(_ family: Family) throws {
    let gateway = try Gateway(family)
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    let devices = try gateway.node.loaded.map("martlet_devices", key: UInt32.self, value: martlet_device.self)
    try devices.delete(gateway.index)
    let frame = gateway.frame(gateway.client, gateway.nodePlace, .tcp, syn)
    #expect(try gateway.node.runOnWire(frame.bytes).code == XDPAction.pass)
  }

  /// A backend is chosen once, though two programs see the packet: by chance a third of the choices would differ.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func choosesOnce(_ carrier: Carrier, _ family: Family) throws {
    let gateway = try Gateway(Way(family: family, entrance: .xdp))
    try gateway.nodePort(carrier.proto, to: [gateway.local, gateway.backend])
    var here = 0
    for port in UInt16(4000)..<4090 {
      let client = Place(address: gateway.client.address, port: port)
      let frame = gateway.frame(client, gateway.nodePlace, carrier, syn)
      let before = (try gateway.stage.nat.entries().count, gateway.sentOn)
      let outcome = try gateway.enters(frame)
      #expect(try gateway.stage.nat.entries().count == before.0 + 2)
      let isHere = outcome.bytes == gateway.frame(client, gateway.local, carrier, syn).bytes
      #expect(isHere == (outcome.code == passed) && isHere == (gateway.sentOn == before.1))
      here += isHere ? 1 : 0
    }
    #expect((20...70).contains(here))
  }

  /// Where the way on has no neighbour yet, traffic control takes the connection that was opened here.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func theFirstPacketToANeighbour(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try Gateway(Way(family: family, entrance: .xdp))
    let other = Place(address: family == .ipv4 ? v4(10, 9, 1, 77) : v6([0xfd, 0, 0, 9, 1], 77), port: 8080)
    let host = try #require(IPAddress(bytes: other.address))
    try NetlinkHandle(in: gateway.namespace).addRoute(
      Route(#require(CIDR(host, length: family == .ipv4 ? 32 : 128)), interfaceIndex: gateway.index))
    try gateway.nodePort(carrier.proto, to: [other])
    let outcome = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, carrier, syn))
    #expect(outcome.code == redirected && gateway.sentOn == 0)
    #expect(outcome.events.map(\.service) == [Balancer.number])
    #expect(
      gateway.port(outcome) {
        gateway.frame(Place(address: gateway.address, port: $0), other, carrier, syn, hopLimit: 63)
      } != nil)
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  /// Larger than the way on.
  @Test(arguments: Family.allCases) func whatIsTooLarge(_ family: Family) throws {
    let gateway = try Gateway(Way(family: family, entrance: .xdp))
    try gateway.nodePort(Proto.udp, to: [gateway.backend])
    var frame = gateway.frame(gateway.client, gateway.nodePlace, .udp)
    for (size, sent) in [(1400, 1), (1600, 1), (1400, 2)] {
      frame.payload = udp(gateway.client.port, gateway.nodePort, data: [UInt8](repeating: 7, count: size))
      _ = try gateway.enters(frame.sealed)
      #expect(gateway.sentOn == sent, "\(size)")
    }
  }

  /// By another device, where that one takes frames.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func byAnotherDevice(_ carrier: Carrier, _ family: Family)
    throws
  {
    let gateway = try Gateway(family)
    let netlink = try NetlinkHandle(in: gateway.namespace)
    try netlink.createVeth(VethSpecification(name: "second", peerName: "secondw"))
    let second = try #require(try netlink.interface(named: "second"))
    try netlink.setInterface(index: second.index, up: true)
    try netlink.setInterface(index: #require(try netlink.interface(named: "secondw")).index, up: true)
    let host = try #require(IPAddress(bytes: gateway.backend.address))
    try netlink.replaceRoute(
      Route(#require(CIDR(host, length: family == .ipv4 ? 32 : 128)), interfaceIndex: second.index))
    try netlink.replaceNeighbour(
      Neighbour(interfaceIndex: second.index, address: host, mac: #require(MACAddress(bytes: gateway.nextMAC))))
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    let frame = gateway.frame(gateway.client, gateway.nodePlace, carrier, syn)
    #expect(try gateway.node.runOnWire(frame.bytes).code == XDPAction.pass)
    try gateway.isDevice(second.index, flags: 0)
    #expect(try gateway.node.runOnWire(frame.bytes).code == XDPAction.pass)
    try gateway.isDevice(second.index, flags: MARTLET_DEVICE_XDP.rawValue)
    let sent = try gateway.node.runOnWire(frame.bytes)
    #expect(sent.code == XDPAction.redirect)
    #expect(Array(sent.bytes.prefix(12)) == gateway.nextMAC + (try #require(second.mac).bytes))
    // Once, with the first of them.
    #expect(sent.events.isEmpty)
  }

  /// Every answer is the same octets, whoever writes them.
  @Test(arguments: [Carrier.tcp, .udp, .bare], Family.allCases) func writesWhatTrafficControlWrites(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try Gateway(Way(family: family, entrance: .xdp))
    let plain = gateway.node
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    let opened = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, carrier, syn))
    let port = try #require(
      gateway.port(opened) {
        gateway.frame(Place(address: gateway.address, port: $0), gateway.backend, carrier, syn, hopLimit: 63)
      })
    let own = Place(address: gateway.address, port: port)
    for (from, to) in [(gateway.backend, own), (gateway.client, gateway.nodePlace)] {
      for _ in 0..<60 {
        var frame = gateway.frame(from, to, carrier)
        let data = (0..<Int.random(in: 0...64)).map { _ in UInt8.random(in: 0...255) }
        frame.payload =
          carrier == .tcp
          ? tcp(from.port, to.port, TCPFlag.ack, data: data) : udp(from.port, to.port, data: data)
        let bytes = carrier.seal(frame).bytes
        // Chance makes a checksum that looks unfinished in one of 65,535.
        if bytes == frame.unfinished.bytes { continue }
        let sent = try plain.runOnWire(bytes)
        let expected = try plain.run("from_netdev", bytes)
        #expect(sent.code == XDPAction.tx && expected.code == redirected)
        #expect(sent.bytes.dropFirst(12) == expected.bytes.dropFirst(12))
      }
    }
  }

  /// The same flow, and the packets counted.
  @Test(arguments: Family.allCases) func tellsOfWhatItSendsOn(_ family: Family) throws {
    let told = try Way.Entrance.allCases.map { entrance in
      let gateway = try Gateway(Way(family: family, entrance: entrance))
      try gateway.nodePort(Proto.tcp, to: [gateway.backend])
      let outcome = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .tcp, syn))
      #expect(try gateway.node.counted(UInt32(MARTLET_METRICS_XDP), .ingress) == UInt64(gateway.sentOn))
      var event = try #require(outcome.events.first)
      #expect(outcome.events.count == 1 && event.ifindex == gateway.index)
      event.time_ns = 0
      event.ifindex = 0
      // Each device has an address of its own.
      event.destination_mac = (0, 0, 0, 0, 0, 0)
      return withUnsafeBytes(of: event) { Array($0) }
    }
    #expect(told[0] == told[1])
  }
}
