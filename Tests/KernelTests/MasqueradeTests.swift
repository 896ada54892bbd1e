import CMartletABI
import Testing

/// Pods in the world, in the node's name.
@Suite(.enabled(if: isRoot, "needs root")) struct MasqueradeTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack

  private func server(_ gateway: Gateway) -> Place { Place(address: gateway.stage.world, port: 443) }
  private func pod(_ gateway: Gateway, _ port: UInt16 = 4000) -> Place {
    Place(address: gateway.node.a.address(gateway.family), port: port)
  }

  @Test(arguments: Carrier.allCases, Family.allCases) func podsGoAsTheNode(_ carrier: Carrier, _ family: Family) throws
  {
    let gateway = try Gateway(family)
    let (server, pod) = (server(gateway), pod(gateway))
    for flags in [syn, TCPFlag.ack] {
      let out = try gateway.departs(gateway.frame(pod, server, carrier, flags))
      #expect(out.code == passed)
      func sent(_ port: UInt16) -> Frame {
        gateway.frame(Place(address: gateway.address, port: port), server, carrier, flags)
      }
      let port = try #require(carrier == .sctp && out.bytes == sent(4000).bytes ? 4000 : gateway.port(out, sent))
      let own = Place(address: gateway.address, port: port)
      let back = try gateway.enters(gateway.frame(server, own, carrier, synAck))
      #expect(back.code == passed && back.mark == 0)
      #expect(back.bytes == gateway.frame(server, pod, carrier, synAck).bytes)
      // An error on the way, and one of the pod's.
      let router = Place(address: gateway.backend.address, port: 0)
      let told = try gateway.enters(
        gateway.stage.unreachable(gateway.frame(router, own, carrier), citing: sent(port)))
      #expect(told.code == passed)
      #expect(
        told.bytes
          == gateway.stage.unreachable(
            gateway.frame(router, pod, carrier), citing: gateway.frame(pod, server, carrier, flags)
          ).bytes)
      let answer = gateway.frame(server, pod, carrier, synAck)
      let telling = try gateway.departs(gateway.stage.unreachable(gateway.frame(pod, server, carrier), citing: answer))
      #expect(
        telling.bytes
          == gateway.stage.unreachable(
            gateway.frame(own, server, carrier), citing: gateway.frame(server, own, carrier, synAck)
          ).bytes)
    }
    #expect(try gateway.stage.nat.entries().count == 2)
  }

  @Test(arguments: Family.allCases) func pingsGoAsTheNode(_ family: Family) throws {
    let gateway = try Gateway(family)
    let (server, pod) = (server(gateway), pod(gateway))
    func echo(_ from: Place, _ to: Place, _ type: UInt8) -> Frame {
      var frame = gateway.frame(from, to, .tcp)
      (frame.proto, frame.payload) = (family.icmp, icmp(type, id: 77))
      return frame.sealed
    }
    let own = Place(address: gateway.address, port: 0)
    #expect(
      try gateway.departs(echo(pod, server, family.echoRequest)).bytes == echo(own, server, family.echoRequest).bytes)
    #expect(
      try gateway.enters(echo(server, own, family.echoReply)).bytes == echo(server, pod, family.echoReply).bytes)
    // The same identifier of another pod can not be the same.
    let other = Place(address: gateway.node.b.address(family), port: 0)
    let outcome = try gateway.departs(echo(other, server, family.echoRequest))
    #expect(outcome.code == passed && outcome.bytes != echo(own, server, family.echoRequest).bytes)
    // A timestamp is asked for and told as an echo is.
    if family == .ipv4 {
      #expect(try gateway.departs(echo(pod, server, 13)).bytes == echo(own, server, 13).bytes)
      #expect(try gateway.enters(echo(server, own, 14)).bytes == echo(server, pod, 14).bytes)
    }
    // What has no identifier has no way back.
    var frame = gateway.frame(pod, server, .tcp)
    (frame.proto, frame.payload) = (family.icmp, icmp(family == .ipv4 ? 15 : 139))
    #expect(try gateway.departs(frame.sealed).reason == 168)
  }

  @Test(arguments: Family.allCases) func fragmentsGoWithTheFirst(_ family: Family) throws {
    let gateway = try Gateway(family)
    let (server, pod) = (server(gateway), pod(gateway))
    func parts(_ from: Place, _ to: Place) -> [Frame] {
      var frame = gateway.frame(from, to, .udp)
      frame.payload = udp(from.port, to.port, data: (0..<200).map { UInt8($0) })
      return frame.sealed.split(at: 64)
    }
    let out = try parts(pod, server).map { try gateway.departs($0) }
    let port = try #require(gateway.port(out[0]) { parts(Place(address: gateway.address, port: $0), server)[0] })
    let own = Place(address: gateway.address, port: port)
    #expect(out[1].bytes == parts(own, server)[1].bytes)
    #expect(try parts(server, own).map { try gateway.enters($0).bytes } == parts(server, pod).map(\.bytes))
  }

  @Test(arguments: Family.allCases) func whoIsLeftAlone(_ family: Family) throws {
    let gateway = try Gateway(family)
    let (server, pod, node) = (server(gateway), pod(gateway), gateway.node)
    func isLeftAlone(_ frame: Frame) throws -> Bool {
      let outcome = try gateway.departs(frame)
      return outcome.code == passed && outcome.bytes == frame.bytes
    }
    // The node itself, and what passes through.
    #expect(try isLeftAlone(gateway.frame(Place(address: gateway.address, port: 4000), server, .tcp, syn)))
    #expect(try isLeftAlone(gateway.frame(gateway.backend, server, .tcp, syn)))
    // An answer to somebody who reached the pod at its own address.
    #expect(try node.arrives(gateway.stage.brought(to: node.a, port: 80, from: server, .tcp, syn)).code == passed)
    #expect(try isLeftAlone(gateway.frame(self.pod(gateway, 80), server, .tcp, synAck)))
    // Where pods are known by their own addresses.
    var key = martlet_ipcache_key()
    key.prefix_length = 128
    withUnsafeMutableBytes(of: &key.address) { $0.copyBytes(from: server.address) }
    try node.loaded.map("martlet_native", key: martlet_ipcache_key.self, value: UInt8.self).update(key, 1)
    #expect(try isLeftAlone(gateway.frame(pod, server, .tcp, syn)))
    #expect(try gateway.stage.nat.entries().isEmpty)
    // A device that does not.
    let plain = try Gateway(family, flags: 0)
    let frame = plain.frame(self.pod(plain), self.server(plain), .tcp, syn)
    #expect(try plain.departs(frame).bytes == frame.bytes)
  }

  /// The client ports of the connections to `server`.
  private func clients(_ gateway: Gateway, of server: Place) throws -> [UInt16] {
    try gateway.stage.nat.entries().map(\.key)
      .filter {
        $0.destination_port == server.port.bigEndian && $0.destination.lo == gateway.node.abi(server.address).lo
      }
      .map { UInt16(bigEndian: $0.source_port) }.sorted()
  }

  /// Lets time pass over the connection of a client's port.
  private func pass(_ gateway: Gateway, port: UInt16, seconds: UInt32) throws {
    for (key, value) in try gateway.stage.nat.entries()
    where [key.source_port, value.destination_port].contains(port.bigEndian) {
      var value = value
      value.expires -= seconds
      try gateway.stage.nat.update(key, value)
    }
  }

  /// A device with three source ports, all of them taken to one server by clients 4000 to 4002.
  private func full(_ carrier: Carrier, _ family: Family) throws -> Gateway {
    let gateway = try Gateway(family)
    gateway.node.settings.nat_port_last = gateway.node.settings.nat_port_first + 2
    for port in UInt16(4000)...4002 {
      #expect(try gateway.departs(gateway.frame(pod(gateway, port), server(gateway), carrier, syn)).code == passed)
    }
    return gateway
  }

  /// When all ports to one server are taken, new connections are refused with a reason of their own; what is over makes room.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func portsRunOut(_ carrier: Carrier, _ family: Family) throws {
    let gateway = try full(carrier, family)
    let server = server(gateway)
    let one = gateway.frame(pod(gateway, 4003), server, carrier, syn)
    #expect(try gateway.departs(one).reason == 167)
    #expect(try gateway.node.counted(167, .egress) == 1)
    // To another server they are free.
    let other = Place(address: gateway.backend.address, port: 443)
    #expect(try gateway.departs(gateway.frame(pod(gateway, 4003), other, carrier, syn)).code == passed)
    if carrier == .tcp {
      #expect(try gateway.departs(gateway.frame(pod(gateway, 4001), server, carrier, TCPFlag.rst)).code == passed)
    } else {
      try pass(gateway, port: 4001, seconds: 30)
    }
    #expect(try gateway.departs(one).code == passed)
    #expect(try clients(gateway, of: server) == [4000, 4002, 4003])
    #expect(try gateway.stage.nat.entries().count == 8)
    #expect(try gateway.departs(gateway.frame(pod(gateway, 4004), server, carrier, syn)).reason == 167)
  }

  /// The one that was idle longest gives way; a connection of TCP that was answered never does.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func theMostIdleGivesWay(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let gateway = try full(carrier, family)
    let server = server(gateway)
    let one = gateway.frame(pod(gateway, 4003), server, carrier, syn)
    // Seconds apart, for a slow machine may need some itself.
    for port in UInt16(4000)...4002 { try pass(gateway, port: port, seconds: 4) }
    #expect(try gateway.departs(one).reason == 167)
    try pass(gateway, port: 4002, seconds: 20)
    try pass(gateway, port: 4000, seconds: 12)
    #expect(try gateway.departs(one).code == passed)
    #expect(try clients(gateway, of: server) == [4000, 4001, 4003])
    guard carrier == .tcp else { return }
    for (key, value) in try gateway.stage.nat.entries() {
      var value = value
      value.flags |= MARTLET_NAT_SEEN_REPLY.rawValue
      try gateway.stage.nat.update(key, value)
    }
    #expect(try gateway.departs(gateway.frame(pod(gateway, 4004), server, carrier, syn)).reason == 167)
    #expect(try clients(gateway, of: server) == [4000, 4001, 4003])
  }

  /// A pod that asks a service whose backend is in the world: both translations, one after the other.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func aServiceInTheWorld(_ carrier: Carrier, _ family: Family)
    throws
  {
    let gateway = try Gateway(family)
    let (server, stage, a) = (server(gateway), gateway.stage, gateway.node.a)
    try stage.balance(carrier.proto, to: [server])
    var port: UInt16 = 0
    for flags in [syn, TCPFlag.ack] {
      #expect(
        try gateway.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, flags)).bytes
          == stage.sent(by: a, from: 4000, to: server, carrier, flags).bytes)
      let out = try gateway.departs(gateway.frame(pod(gateway), server, carrier, flags))
      port = try #require(
        gateway.port(out) { gateway.frame(Place(address: gateway.address, port: $0), server, carrier, flags) })
      let back = try gateway.enters(
        gateway.frame(server, Place(address: gateway.address, port: port), carrier, synAck))
      #expect(back.code == passed && back.bytes == gateway.frame(server, pod(gateway), carrier, synAck).bytes)
      #expect(
        try gateway.node.arrives(stage.brought(to: a, port: 4000, from: server, carrier, synAck)).bytes
          == stage.brought(to: a, port: 4000, from: stage.vip, carrier, synAck).bytes)
    }
    #expect(try stage.nat.entries().count == 4)
  }
}
