import CMartletABI
import Testing

/// Services for pods whose sockets were not balanced: each packet byte for byte, with its checksums from scratch.
@Suite(.enabled(if: isRoot, "needs root")) struct BalanceTests {
  let syn = TCPFlag.syn
  let synAck = TCPFlag.syn | TCPFlag.ack
  let translated = MARTLET_CT_TRANSLATED.rawValue

  @Test(arguments: Carrier.allCases, Family.allCases) func aPodOfThisNodeAnswers(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let (a, b) = (stage.node.a, stage.node.b)
    let backend = Place(address: b.address(family), port: carrier.backendPort)
    try stage.balance(carrier.proto, to: [backend])
    // Policy sees the backend.
    try stage.node.rules(Peer.b, [.init(.ingress, .allow, 2, proto: carrier.proto, port: backend.port)])
    for flags in [syn, TCPFlag.ack] {
      let there = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, flags))
      #expect(there.code == redirected)
      #expect(
        there.bytes
          == carrier.seal(
            stage.node.frame(family, from: a, to: b, carrier.proto, carrier.payload(4000, backend.port, flags))
          ).delivered(to: b).bytes)
      #expect(there.events.map(\.service) == (flags == syn ? [Balancer.number] : []))
      let back = try stage.node.leaves(
        stage.sent(by: b, from: backend.port, to: Place(address: a.address(family), port: 4000), carrier, synAck))
      #expect(back.code == redirected)
      #expect(back.bytes == stage.received(by: a, port: 4000, from: stage.vip, carrier, synAck).bytes)
    }
    let connection = try stage.node.connection()
    #expect(connection.flags & translated != 0 && connection.service == Balancer.number)
    #expect(try stage.nat.entries().count == 2)
  }

  @Test(arguments: Carrier.allCases, Family.allCases) func somebodyElsewhereAnswers(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let a = stage.node.a
    let backend = Place(address: stage.elsewhere, port: carrier.backendPort)
    try stage.balance(carrier.proto, to: [backend])
    let there = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn))
    #expect(there.code == passed && there.mark == 0)
    #expect(there.bytes == stage.sent(by: a, from: 4000, to: backend, carrier, syn).bytes)
    let back = try stage.node.arrives(stage.brought(to: a, port: 4000, from: backend, carrier, synAck))
    #expect(back.code == passed)
    #expect(back.bytes == stage.brought(to: a, port: 4000, from: stage.vip, carrier, synAck).bytes)
    #expect(try stage.node.connection().flags & translated != 0)
  }

  /// A pod may be its own backend, and talks to itself whatever policy says; it must not see its own address as the client's.
  @Test(arguments: Carrier.allCases, Family.allCases) func aPodAnswersItself(_ carrier: Carrier, _ family: Family)
    throws
  {
    let stage = try Balancer(family)
    let a = stage.node.a
    let backend = Place(address: a.address(family), port: carrier.backendPort)
    try stage.balance(carrier.proto, to: [backend])
    try stage.node.rules(Peer.a, [])
    let there = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn))
    let client = Place(address: stage.hairpin, port: 4000)
    #expect(there.code == redirected)
    #expect(there.events.map(\.service) == [Balancer.number])
    #expect(there.bytes == stage.received(by: a, port: backend.port, from: client, carrier, syn).bytes)
    let back = try stage.node.leaves(stage.sent(by: a, from: backend.port, to: client, carrier, synAck))
    #expect(back.code == redirected && back.events.isEmpty)
    #expect(back.bytes == stage.received(by: a, port: 4000, from: stage.vip, carrier, synAck).bytes)
    #expect(try stage.node.conntrack.entries().isEmpty)
  }

  /// All of what is cited, or as little as a router must cite.
  @Test(arguments: Carrier.allCases, Family.allCases) func errorsAreTranslated(
    _ carrier: Carrier, _ family: Family
  ) throws {
    try errorsAreTranslated(carrier, family, citing: 576)
    try errorsAreTranslated(carrier, family, citing: 8)
  }

  private func errorsAreTranslated(_ carrier: Carrier, _ family: Family, citing octets: Int) throws {
    let stage = try Balancer(family)
    let (a, b) = (stage.node.a, stage.node.b)
    let backend = Place(address: b.address(family), port: carrier.backendPort)
    let client = Place(address: a.address(family), port: 4000)
    try stage.balance(carrier.proto, to: [backend])
    try stage.node.rules(Peer.b, [.init(.ingress, .allow, 2)])
    let header = family == .ipv4 ? 20 : 40
    let count = octets == 8 ? header + 8 : octets
    let asked = stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn)
    #expect(try stage.node.leaves(asked).code == redirected)

    // The backend, about what it got.
    let got = stage.sent(by: a, from: 4000, to: backend, carrier, syn)
    var told = try stage.node.leaves(
      stage.unreachable(stage.sent(by: b, from: 1, to: client, carrier), citing: got, count: count))
    #expect(told.code == redirected)
    #expect(
      told.bytes
        == stage.unreachable(
          stage.received(by: a, port: 1, from: stage.vip, carrier), citing: asked, count: count
        ).bytes)

    // A router on the way, which keeps its name.
    let router = Place(address: stage.world, port: 0)
    told = try stage.node.arrives(
      stage.unreachable(stage.brought(to: a, port: 1, from: router, carrier), citing: got, count: count))
    #expect(told.code == passed)
    #expect(
      told.bytes
        == stage.unreachable(stage.brought(to: a, port: 1, from: router, carrier), citing: asked, count: count).bytes)

    // The client, about an answer.
    let answer = stage.sent(by: b, from: backend.port, to: client, carrier, synAck)
    #expect(try stage.node.leaves(answer).code == redirected)
    var seen = stage.received(by: a, port: 4000, from: stage.vip, carrier, synAck)
    seen.hopLimit = answer.hopLimit
    told = try stage.node.leaves(
      stage.unreachable(stage.sent(by: a, from: 1, to: stage.vip, carrier), citing: seen, count: count))
    #expect(told.code == redirected)
    #expect(
      told.bytes
        == stage.unreachable(
          stage.sent(by: a, from: 1, to: backend, carrier).delivered(to: b), citing: answer, count: count
        ).bytes)
  }

  @Test(arguments: [Carrier.udp, .bare], Family.allCases) func fragmentsGoWithTheFirst(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let (a, b) = (stage.node.a, stage.node.b)
    let backend = Place(address: b.address(family), port: 8080)
    let client = Place(address: a.address(family), port: 4000)
    let data = (0..<200).map { UInt8($0) }
    try stage.balance(carrier.proto, to: [backend])
    func whole(_ frame: Frame, _ source: UInt16, _ destination: UInt16) -> Frame {
      var frame = frame
      frame.payload = udp(source, destination, data: data)
      return carrier.seal(frame)
    }
    let asked = whole(stage.sent(by: a, from: 1, to: stage.vip, carrier), 4000, 80).split(at: 64)
    let wanted = whole(stage.sent(by: a, from: 1, to: backend, carrier).delivered(to: b), 4000, 8080).split(at: 64)
    for (sent, expected) in zip(asked, wanted) { #expect(try stage.node.leaves(sent).bytes == expected.bytes) }
    let answer = whole(stage.sent(by: b, from: 1, to: client, carrier), 8080, 4000).split(at: 64)
    let seen = whole(stage.received(by: a, port: 1, from: stage.vip, carrier), 80, 4000).split(at: 64)
    for (sent, expected) in zip(answer, seen) { #expect(try stage.node.leaves(sent).bytes == expected.bytes) }
  }

  /// Any address of any node, and no other.
  @Test(arguments: Family.allCases) func nodePorts(_ family: Family) throws {
    let stage = try Balancer(family)
    let a = stage.node.a
    let backend = Place(address: stage.node.b.address(family), port: 8080)
    let any = Place(address: family == .ipv4 ? v4(0, 0, 0, 0) : v6([], 0), port: 30080)
    try stage.service(Balancer.number, Proto.tcp, [backend])
    try stage.frontend(any, Proto.tcp)
    try stage.node.know(stage.elsewhere, 128, 1)
    for (address, reached) in [(stage.elsewhere, true), (stage.world, false)] {
      let frame = stage.sent(by: a, from: 4000, to: Place(address: address, port: 30080), .tcp, syn)
      let outcome = try stage.node.leaves(frame)
      #expect(outcome.code == (reached ? redirected : passed))
      #expect((outcome.bytes == frame.bytes) != reached)
    }
  }

  @Test(arguments: [0, MARTLET_SERVICE_DROP.rawValue], Family.allCases) func nobodyIsThere(
    _ flags: UInt32, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    try stage.balance(Proto.tcp, to: [], flags: flags)
    let outcome = try stage.node.leaves(stage.sent(by: stage.node.a, from: 4000, to: stage.vip, .tcp, syn))
    #expect(outcome.code == (flags == 0 ? redirected : shot) && outcome.reason == 158)
    #expect(outcome.events.map(\.service) == [Balancer.number])
    #expect(try stage.node.counted(158, .egress) == 1)
    #expect(try stage.nat.entries().isEmpty)
  }

  /// What is no frontend is left alone; what a frontend's connection can not do is refused.
  @Test(arguments: Family.allCases) func othersAreLeftAlone(_ family: Family) throws {
    let stage = try Balancer(family)
    let a = stage.node.a
    let backend = Place(address: stage.node.b.address(family), port: 8080)
    try stage.balance(Proto.tcp, to: [backend])
    var other = stage.vip
    other.port = 81
    for frame in [
      stage.sent(by: a, from: 4000, to: other, .tcp, syn), stage.sent(by: a, from: 4000, to: stage.vip, .udp),
    ] {
      let outcome = try stage.node.leaves(frame)
      #expect(outcome.code == passed && outcome.bytes == frame.bytes)
    }
    // In the middle of a connection that nobody remembers.
    #expect(try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, .tcp)).reason == 167)
    // A checksum of SCTP can not follow a change of ports.
    try stage.frontend(stage.vip, Proto.sctp, service: 11)
    try stage.service(11, Proto.sctp, [backend])
    #expect(try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, .sctp)).reason == 168)
    #expect(try stage.nat.entries().isEmpty)
    // A question of what policy says is none of a service.
    let asked = stage.sent(by: a, from: 4001, to: stage.vip, .tcp, syn)
    #expect(try stage.node.traceLeaving(asked).bytes == asked.bytes)
    #expect(try stage.nat.entries().isEmpty)
  }

  @Test(arguments: Family.allCases) func policyDeniesByTheBackend(_ family: Family) throws {
    let stage = try Balancer(family)
    try stage.balance(Proto.tcp, to: [Place(address: stage.node.b.address(family), port: 8080)])
    try stage.node.rules(Peer.b, [.init(.ingress, .allow, 2, proto: Proto.tcp, port: 80)])
    let outcome = try stage.node.leaves(stage.sent(by: stage.node.a, from: 4000, to: stage.vip, .tcp, syn))
    #expect(outcome.reason == 133)
    #expect(outcome.events.map(\.service) == [Balancer.number])
    #expect(try stage.nat.entries().isEmpty)
  }

  /// A connection stays where it is, whatever becomes of the service; what begins, and each datagram, needs a living backend.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func connectionsStay(_ carrier: Carrier, _ family: Family)
    throws
  {
    let stage = try Balancer(family)
    let a = stage.node.a
    let first = Place(address: stage.elsewhere, port: 8080)
    let second = Place(address: stage.world, port: 8081)
    try stage.balance(carrier.proto, to: [first])
    func send(_ flags: UInt8) throws -> Place? {
      let bytes = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, flags)).bytes
      return [first, second].first { bytes == stage.sent(by: a, from: 4000, to: $0, carrier, flags).bytes }
    }
    #expect(try send(syn) == first)
    try stage.service(11, carrier.proto, [second])
    try stage.services.update(
      Balancer.number, martlet_service(table: 11, count: 1, affinity: 0, flags: 0, listener: 0, pad: 0))
    #expect(try send(syn) == first)
    #expect(try send(TCPFlag.ack) == first)
    try stage.backends.delete(Balancer.number * 100 + 1)
    #expect(try send(TCPFlag.ack) == (carrier == .tcp ? first : second))
    #expect(try send(syn) == second)
    #expect(try send(TCPFlag.ack) == second)
    let entries = try stage.nat.entries().map(\.value)
    #expect(entries.filter { $0.flags & MARTLET_NAT_REPLY.rawValue == 0 }.count == 1)
  }

  /// The same ports between the same pods, directly and by a service: one of them gets another source port.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func aDirectConnectionIsNotConfused(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let (a, b) = (stage.node.a, stage.node.b)
    let backend = Place(address: b.address(family), port: 8080)
    try stage.balance(carrier.proto, to: [backend])
    let direct = stage.sent(by: a, from: 4000, to: backend, carrier, syn)
    #expect(try stage.node.leaves(direct).bytes == direct.delivered(to: b).bytes)
    let there = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn))
    let port = try #require(
      (UInt16(61000)...61099).first {
        there.bytes == stage.sent(by: a, from: $0, to: backend, carrier, syn).delivered(to: b).bytes
      })
    func answer(to port: UInt16) throws -> [UInt8] {
      try stage.node.leaves(
        stage.sent(by: b, from: 8080, to: Place(address: a.address(family), port: port), carrier, synAck)
      ).bytes
    }
    #expect(try answer(to: port) == stage.received(by: a, port: 4000, from: stage.vip, carrier, synAck).bytes)
    #expect(try answer(to: 4000) == stage.received(by: a, port: 4000, from: backend, carrier, synAck).bytes)
  }

  /// What the proxy says for the server comes from the service.
  @Test(arguments: [Carrier.tcp, .udp], Family.allCases) func theProxyAnswersForTheService(
    _ carrier: Carrier, _ family: Family
  ) throws {
    let stage = try Balancer(family)
    let a = stage.node.a
    let backend = Place(address: stage.node.b.address(family), port: 8080)
    try stage.balance(carrier.proto, to: [backend])
    try stage.node.rules(Peer.b, [.init(.ingress, .proxy, 3, http: 9)])
    // Of the proxy's sockets a test run has none.
    #expect(try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, carrier, syn)).reason == 178)
    let answer = try stage.node.arrives(
      stage.brought(to: a, port: 4000, from: backend, carrier, synAck), mark: UInt32(MARTLET_MARK_FROM_PROXY))
    #expect(answer.code == passed)
    #expect(answer.bytes == stage.brought(to: a, port: 4000, from: stage.vip, carrier, synAck).bytes)
  }

  /// Each end of a connection is known to both of its entries, which live as long as it does.
  @Test(arguments: Family.allCases) func entriesLiveTogether(_ family: Family) throws {
    let stage = try Balancer(family)
    let (a, b) = (stage.node.a, stage.node.b)
    let client = Place(address: a.address(family), port: 4000)
    try stage.balance(Proto.tcp, to: [Place(address: b.address(family), port: 8080)])
    func known() throws -> Set<UInt32> {
      let entries = try stage.nat.entries().map(\.value)
      #expect(entries.count == 2 && Set(entries.map(\.expires)).count == 1)
      return Set(entries.map { $0.flags & ~MARTLET_NAT_REPLY.rawValue })
    }
    let seen = MARTLET_NAT_SEEN_REPLY.rawValue
    _ = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, .tcp, syn))
    #expect(try known() == [0])
    _ = try stage.node.leaves(stage.sent(by: b, from: 8080, to: client, .tcp, synAck))
    #expect(try known() == [seen])
    _ = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, .tcp, TCPFlag.fin | TCPFlag.ack))
    #expect(try known() == [seen | MARTLET_NAT_FIN_ORIGIN.rawValue])
    _ = try stage.node.leaves(stage.sent(by: b, from: 8080, to: client, .tcp, TCPFlag.fin | TCPFlag.ack))
    #expect(try known() == [seen | MARTLET_NAT_FIN_ORIGIN.rawValue | MARTLET_NAT_FIN_REPLY.rawValue])
    // The same ports again begin afresh.
    _ = try stage.node.leaves(stage.sent(by: a, from: 4000, to: stage.vip, .tcp, syn))
    #expect(try known() == [0])
    _ = try stage.node.leaves(stage.sent(by: b, from: 8080, to: client, .tcp, TCPFlag.rst))
    #expect(try known() == [seen | MARTLET_NAT_RST.rawValue])
  }
}
