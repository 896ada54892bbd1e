import Addressing
import CMartletABI
import Glibc
import Netlink
import Testing

extension Gateway {
  /// A node whose backends elsewhere answer clients themselves.
  static func direct(
    _ way: Way, _ flags: [martlet_config_flags] = [MARTLET_CONFIG_DSR_TCP, MARTLET_CONFIG_DSR_UDP]
  ) throws -> Gateway {
    let gateway = try Gateway(way)
    gateway.node.settings.flags |= flags.reduce(0) { $0 | $1.rawValue }
    return gateway
  }

  /// The packet, with the service that was asked.
  func telling(_ asked: Place, _ frame: Frame) -> Frame {
    var frame = frame
    switch family {
    case .ipv4: frame.options = [0x9a, 8] + be16(asked.port) + asked.address.suffix(4)
    case .ipv6:
      frame.firstExtension = 60
      frame.options = [frame.proto, 2, 0x1b, 20] + asked.address + be16(asked.port) + [0, 0]
    }
    return frame
  }

  /// The NodePort at every address of a node.
  var anyNode: Place { Place(address: family == .ipv4 ? v4(0, 0, 0, 0) : v6([], 0), port: nodePort) }

  /// Says that a backend is one of the service behind a frontend, as the agent does of this node's own.
  func answers(_ backend: Place, for frontend: Place, _ proto: UInt8) throws {
    var key = martlet_direct_return()
    key.frontend = node.abi(frontend.address)
    key.frontend_port = frontend.port.bigEndian
    key.backend = node.abi(backend.address)
    key.backend_port = backend.port.bigEndian
    key.protocol = proto
    try node.loaded.map("martlet_direct_returns", key: martlet_direct_return.self, value: UInt8.self).update(key, 1)
  }

  /// Whether a packet goes on in the node's name.
  func isMasked(_ outcome: Outcome, _ make: (Place) -> Frame) -> Bool {
    port(outcome) { make(Place(address: address, port: $0)) } != nil
  }
}

/// Backends elsewhere that answer clients themselves: what the node of the client says.
@Suite(.enabled(if: isRoot, "needs root")) struct DirectReturnTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack

  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func theClientsNodeTells(_ carrier: Carrier, _ way: Way) throws
  {
    let gateway = try Gateway.direct(way)
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    var told = 0
    for flags in [syn, TCPFlag.ack, TCPFlag.ack] {
      let sent = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, carrier, flags))
      let plain = gateway.frame(gateway.client, gateway.backend, carrier, flags, hopLimit: 63)
      let tells = carrier != .tcp || flags == syn
      #expect(sent.code == redirected && sent.mark == UInt32(MARTLET_MARK_TRANSLATED))
      #expect(sent.bytes == (tells ? gateway.telling(gateway.nodePlace, plain) : plain).bytes)
      #expect(sent.events.map(\.service) == (flags == syn ? [Balancer.number] : []))
      told += tells ? 1 : 0
    }
    #expect(gateway.sentOn == (way.entrance == .xdp ? 3 - told : 0))
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  /// TCP of the same machine, in another network namespace, counts the segments of what is one.
  @Test(arguments: Family.allCases) func aSegmentThatIsCounted(_ family: Family) throws {
    let gateway = try Gateway.direct(Way(family: family, entrance: .tc))
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    let frame = gateway.frame(gateway.client, gateway.nodePlace, .tcp, syn)
    let sent = try gateway.node.run("from_netdev", frame.bytes, segments: 1)
    let plain = gateway.frame(gateway.client, gateway.backend, .tcp, syn, hopLimit: 63)
    #expect(sent.bytes == gateway.telling(gateway.nodePlace, plain).bytes)
  }

  /// UDP as without, TCP directly.
  @Test(arguments: Way.all) func hybrid(_ way: Way) throws {
    let gateway = try Gateway.direct(way, [MARTLET_CONFIG_DSR_TCP])
    try gateway.nodePort(Proto.udp, to: [gateway.backend])
    let sent = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .udp))
    #expect(gateway.isMasked(sent) { gateway.frame($0, gateway.backend, .udp, hopLimit: 63) })
    #expect(gateway.sentOn == (way.entrance == .xdp ? 1 : 0))
  }

  /// What begins a connection and has no room to say what was asked goes with the node's address; a later datagram of a
  /// connection that was told goes as it is.
  @Test(arguments: [Carrier.tcp, .udp], Way.all) func withoutRoom(_ carrier: Carrier, _ way: Way) throws {
    let gateway = try Gateway.direct(way)
    try gateway.nodePort(carrier.proto, to: [gateway.backend])
    let headers = (way.family == .ipv4 ? 20 : 40) + (carrier == .tcp ? 20 : 8)
    let room = way.family == .ipv4 ? 8 : 24
    func frame(_ from: Place, _ to: Place, _ size: Int, hopLimit: UInt8 = 64) -> Frame {
      var frame = gateway.frame(from, to, carrier, hopLimit: hopLimit)
      let data = [UInt8](repeating: 7, count: size - headers)
      frame.payload =
        carrier == .tcp ? tcp(from.port, to.port, syn, data: data) : udp(from.port, to.port, data: data)
      return frame.sealed
    }
    let other = Place(address: gateway.client.address, port: 4001)
    let sent = try gateway.enters(frame(other, gateway.nodePlace, 1500 - room + 1))
    #expect(sent.code == redirected)
    #expect(gateway.isMasked(sent) { frame($0, gateway.backend, 1500 - room + 1, hopLimit: 63) })
    for size in [1500 - room, 1500 - room + 1, 1500] {
      let sent = try gateway.enters(frame(gateway.client, gateway.nodePlace, size))
      let plain = frame(gateway.client, gateway.backend, size, hopLimit: 63)
      #expect(sent.code == redirected)
      #expect(sent.bytes == (size == 1500 - room ? gateway.telling(gateway.nodePlace, plain) : plain).bytes, "\(size)")
    }
    // Its sender is told, whether or not the connection is known.
    for port in [gateway.client.port, 4002] {
      let asked = frame(Place(address: gateway.client.address, port: port), gateway.nodePlace, 1501)
      let refused = try gateway.enters(asked)
      #expect(refused.reason == 157 && refused.bytes == asked.tooBig(mtu: 1500, by: gateway.address).bytes)
    }
    #expect(try gateway.stage.nat.entries().count == 4)
  }

  /// As long as the device takes is not as long as the way on takes.
  @Test(arguments: Way.all) func theWayOnIsNarrower(_ way: Way) throws {
    let gateway = try Gateway.direct(way)
    try gateway.nodePort(Proto.udp, to: [gateway.backend])
    let netlink = try NetlinkHandle(in: gateway.namespace)
    try netlink.createVeth(VethSpecification(name: "narrow", peerName: "narroww"))
    let narrow = try #require(try netlink.interface(named: "narrow"))
    try netlink.changeInterface(index: narrow.index, mtu: 1400)
    try netlink.setInterface(index: narrow.index, up: true)
    try netlink.setInterface(index: #require(try netlink.interface(named: "narroww")).index, up: true)
    let host = try #require(IPAddress(bytes: gateway.backend.address))
    try netlink.replaceRoute(
      Route(#require(CIDR(host, length: way.family == .ipv4 ? 32 : 128)), interfaceIndex: narrow.index))
    try netlink.replaceNeighbour(
      Neighbour(interfaceIndex: narrow.index, address: host, mac: #require(MACAddress(bytes: gateway.nextMAC))))
    func frame(_ from: Place, _ to: Place, hopLimit: UInt8 = 64) -> Frame {
      var frame = gateway.frame(from, to, .udp, hopLimit: hopLimit)
      frame.payload = udp(
        from.port, to.port, data: [UInt8](repeating: 7, count: way.family == .ipv4 ? 1400 - 28 : 1400 - 48))
      return frame.sealed
    }
    let sent = try gateway.enters(frame(gateway.client, gateway.nodePlace))
    #expect(sent.code == redirected)
    #expect(gateway.isMasked(sent) { frame($0, gateway.backend, hopLimit: 63) })
  }

  /// Fragments, and packets with options or extension headers of their own, have no place for it either.
  @Test(arguments: Way.all) func withoutPlace(_ way: Way) throws {
    let gateway = try Gateway.direct(way)
    try gateway.nodePort(Proto.udp, to: [gateway.backend])
    func options(_ frame: Frame) -> [Frame] {
      var frame = frame
      // RFC 791: no operations; RFC 8200, 4.6: a destination options header of padding.
      frame.options = way.family == .ipv4 ? [1, 1, 1, 1] : [Proto.udp, 0, 1, 4, 0, 0, 0, 0]
      frame.firstExtension = 60
      return [frame]
    }
    let shapes: [(Frame) -> [Frame]] = [{ $0.split(at: 8) }, options]
    for (index, shape) in shapes.enumerated() {
      let from = Place(address: gateway.client.address, port: 4000 + UInt16(index))
      let sent = try shape(gateway.frame(from, gateway.nodePlace, .udp)).map { try gateway.enters($0) }
      #expect(sent.allSatisfy { $0.code == redirected })
      #expect(
        gateway.isMasked(sent[0]) { shape(gateway.frame($0, gateway.backend, .udp, hopLimit: 63))[0] }, "\(index)")
      // Of a connection that was told.
      let known = Place(address: from.address, port: 5000 + UInt16(index))
      _ = try gateway.enters(gateway.frame(known, gateway.nodePlace, .udp))
      let plain = shape(gateway.frame(known, gateway.backend, .udp, hopLimit: 63))
      for (frame, expected) in zip(shape(gateway.frame(known, gateway.nodePlace, .udp)), plain) {
        #expect(try gateway.enters(frame).bytes == expected.bytes, "\(index)")
      }
    }
  }

  /// Errors about answers come to the address that was asked, and go on to the backend; those about what was sent on go to
  /// the client, and where they pass here they speak of what it knows.
  @Test(arguments: [Carrier.tcp, .udp, .bare], Way.all) func errorsFindTheirWay(_ carrier: Carrier, _ way: Way) throws {
    let gateway = try Gateway.direct(way)
    let (client, backend, asked) = (gateway.client, gateway.backend, gateway.nodePlace)
    try gateway.nodePort(carrier.proto, to: [backend])
    #expect(try gateway.enters(gateway.frame(client, asked, carrier, syn)).code == redirected)
    let router = Place(address: way.family == .ipv4 ? v4(192, 0, 2, 77) : v6([0x20, 1, 0xd, 0xb8], 77), port: 0)
    func error(_ from: Place, _ to: Place, citing: Frame, hopLimit: UInt8 = 64) -> Frame {
      gateway.stage.unreachable(gateway.frame(from, to, carrier, hopLimit: hopLimit), citing: citing)
    }
    let got = gateway.frame(asked, client, carrier, synAck, hopLimit: 60)
    let answer = gateway.frame(backend, client, carrier, synAck, hopLimit: 60)
    for from in [client, router] {
      let told = try gateway.enters(error(from, asked, citing: got))
      #expect(told.code == redirected && told.bytes == error(from, backend, citing: answer, hopLimit: 63).bytes)
    }
    let sent = gateway.frame(client, backend, carrier, syn, hopLimit: 60)
    let known = gateway.frame(client, asked, carrier, syn, hopLimit: 60)
    for (from, named) in [(router, router), (backend, asked)] {
      let told = try gateway.enters(error(from, client, citing: sent))
      #expect(told.code == redirected && told.bytes == error(named, client, citing: known, hopLimit: 63).bytes)
    }
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  /// Only one direction passes: what the other one says is told by this one.
  @Test(arguments: Family.allCases) func lifetimes(_ family: Family) throws {
    let gateway = try Gateway.direct(Way(family: family, entrance: .tc))
    try gateway.nodePort(Proto.tcp, to: [gateway.backend])
    func lives() throws -> [Int] {
      var now = timespec()
      clock_gettime(CLOCK_MONOTONIC, &now)
      return try gateway.stage.nat.entries().map { Int($0.value.expires) - now.tv_sec }
    }
    for (flags, seconds) in [(syn, 60), (TCPFlag.ack, 21600), (TCPFlag.fin | TCPFlag.ack, 10), (TCPFlag.ack, 10)] {
      #expect(try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .tcp, flags)).code == redirected)
      let left = try lives()
      #expect(left.allSatisfy { abs($0 - seconds) <= 2 }, "\(flags): \(left)")
    }
  }
}
