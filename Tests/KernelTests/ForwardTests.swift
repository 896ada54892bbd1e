import CMartletABI
import Testing

@Suite(.enabled(if: isRoot, "needs root")) struct ForwardTests {
  @Test(arguments: Family.allCases) func rewritesWhatARouterRewrites(_ family: Family) throws {
    let node = try Node()
    for hopLimit: UInt8 in [2, 64, 255] {
      var frame = node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 53, data: [1, 2, 3]))
      frame.hopLimit = hopLimit
      let outcome = try node.leaves(frame)
      frame.sourceMAC = node.b.hostMAC
      frame.destinationMAC = node.b.podMAC
      frame.hopLimit -= 1
      #expect(outcome.code == redirected)
      #expect(outcome.bytes == frame.bytes)
    }
  }

  @Test(arguments: Family.allCases) func leavesOthersToTheStackUntouched(_ family: Family) throws {
    let node = try Node()
    let world = family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let out = node.frame(family, from: node.a, to: world, Proto.udp, udp(4000, 53))
    let left = try node.leaves(out)
    #expect(left.code == passed && left.bytes == out.bytes && left.mark == 0)
    let back = node.frame(family, from: world, to: node.a, Proto.udp, udp(53, 4000))
    try node.rules(Peer.a, [])
    let arrived = try node.arrives(back)
    #expect(arrived.code == passed && arrived.bytes == back.bytes)
  }

  /// The stack is whom a packet's sender hears from when its last hop was this one.
  @Test(arguments: Family.allCases, [0, 1] as [UInt8]) func theLastHopIsTheStacks(
    _ family: Family, _ hopLimit: UInt8
  ) throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .allow, 2, proto: Proto.udp, port: 33434)])
    try node.rules(Peer.a, [.init(.egress, .allow, 1)])
    var frame = node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 33434))
    frame.hopLimit = hopLimit
    let left = try node.leaves(frame)
    #expect(left.code == passed && left.bytes == frame.bytes && left.mark == 0)
    // What the stack answers is about a connection, so it needs no rule of its own.
    let gateway = family == .ipv4 ? v4(10, 0, 0, 254) : v6([0xfd], 0xfe)
    let exceeded = node.frame(
      family, from: gateway, to: node.a, family.icmp, icmp(family == .ipv4 ? 11 : 3, data: frame.packet))
    #expect(try node.arrives(exceeded).code == passed)
    // A stack that brings it back has been told to by somebody else.
    #expect(
      try node.arrives(node.frame(family, from: node.a.address(family), to: node.b, Proto.udp, udp(4000, 33434)))
        .reason == 132)
    // No rule allows it: there is nothing to tell.
    frame.payload = udp(4000, 53)
    #expect(try node.leaves(frame).reason == 133)
  }

  @Test func passesOverOptionsAndExtensions() throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .allow, 2, proto: Proto.tcp, port: 80)])
    var frame = node.frame(.ipv4, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    frame.options = [UInt8](repeating: 1, count: 40)
    #expect(try node.leaves(frame).code == redirected)
    frame = node.frame(.ipv6, from: node.a, to: node.b, Proto.tcp, tcp(4001, 80, TCPFlag.syn))
    frame.firstExtension = 0
    frame.options = [60, 0, 1, 4, 0, 0, 0, 0] + [43, 1, 1, 12] + [UInt8](repeating: 0, count: 12)
    frame.options += [60, 0, 4, 0, 0, 0, 0, 0] + [Proto.tcp, 0, 1, 4, 0, 0, 0, 0]
    #expect(try node.leaves(frame).code == redirected)
  }

  @Test(arguments: Family.allCases) func fragmentsFollowTheFirst(_ family: Family) throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .allow, 2, proto: Proto.udp, port: 53)])
    var first = node.frame(
      family, from: node.a, to: node.b, Proto.udp, udp(4000, 53, data: [UInt8](repeating: 1, count: 56)))
    first.moreFragments = true
    var second = first
    second.payload = [UInt8](repeating: 2, count: 64)
    second.fragmentOffset = 64
    var last = second
    last.fragmentOffset = 128
    last.moreFragments = false
    #expect(try node.leaves(second).reason == 175)
    #expect(try node.leaves(first).code == redirected)
    #expect(try node.leaves(second).code == redirected)
    #expect(try node.leaves(last).code == redirected)
    last.fragmentID += 1
    #expect(try node.leaves(last).reason == 175)
    #expect(try node.conntrack.entries().count == 1)
  }

  /// The oldest datagrams are forgotten for new ones; what is left of them is refused, never guessed.
  @Test(arguments: Family.allCases) func aFullFragmentTableRefuses(_ family: Family) throws {
    let node = try Node()
    var first = node.frame(
      family, from: node.a, to: node.b, Proto.udp, udp(4000, 53, data: [UInt8](repeating: 1, count: 56)))
    first.moreFragments = true
    for id: UInt32 in 1...2000 {
      first.fragmentID = id
      #expect(try node.leaves(first).code == redirected)
    }
    var last = first
    (last.payload, last.fragmentOffset, last.moreFragments) = ([UInt8](repeating: 2, count: 64), 64, false)
    #expect(try node.leaves(last).code == redirected)
    last.fragmentID = 1
    #expect(try node.leaves(last).reason == 175)
  }

  @Test(arguments: Family.allCases) func fragmentsOfPings(_ family: Family) throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .allow, 2, proto: family.icmp, port: UInt16(family.echoRequest))])
    var first = node.frame(
      family, from: node.a, to: node.b, family.icmp,
      icmp(family.echoRequest, id: 7, data: [UInt8](repeating: 1, count: 56)))
    first.moreFragments = true
    var second = first
    second.payload = [UInt8](repeating: 2, count: 64)
    second.fragmentOffset = 64
    second.moreFragments = false
    #expect(try node.leaves(first).code == redirected)
    #expect(try node.leaves(second).code == redirected)
    node.settings.policy_revision = 2
    #expect(try node.leaves(second).code == redirected)
  }

  /// What a later fragment is part of is told by the first: the ports alone do not say who asks.
  @Test(arguments: [13, 17] as [UInt8]) func fragmentsOfOtherRequests(_ type: UInt8) throws {
    let node = try Node()
    try node.rules(Peer.a, [.init(.egress, .allow, 1), .init(.ingress, .deny, 3)])
    try node.rules(Peer.b, [.init(.egress, .deny, 3), .init(.ingress, .allow, 2, proto: 1, port: UInt16(type))])
    for (source, destination, type) in [(node.a, node.b, type), (node.b, node.a, type + 1)] {
      var first = node.frame(
        .ipv4, from: source, to: destination, 1, icmp(type, id: 7, data: [UInt8](repeating: 1, count: 56)))
      first.moreFragments = true
      var second = first
      (second.payload, second.fragmentOffset, second.moreFragments) = ([UInt8](repeating: 2, count: 64), 64, false)
      #expect(try node.leaves(first).code == redirected)
      #expect(try node.leaves(second).code == redirected)
      node.settings.policy_revision += 1
      #expect(try node.leaves(second).code == redirected)
    }
  }

  /// An error that cites a packet of a connection is let through to whoever sent that packet.
  @Test(arguments: Family.allCases, [Proto.udp, Proto.tcp, 0]) func errorsAboutConnections(
    _ family: Family, _ citing: UInt8
  ) throws {
    let node = try Node()
    let proto = citing == 0 ? family.icmp : citing
    let payload =
      switch citing {
      case Proto.udp: udp(4000, 53)
      case Proto.tcp: tcp(4000, 53, TCPFlag.syn)
      default: icmp(family.echoRequest, id: 7)
      }
    try node.rules(Peer.a, [.init(.egress, .allow, 1)])
    try node.rules(Peer.b, [.init(.ingress, .allow, 2)])
    let cited = node.frame(family, from: node.a, to: node.b, proto, payload)
    func error(from source: Pod, citing: Frame) -> Frame {
      node.frame(family, from: source, to: node.a, family.icmp, icmp(family.unreachable, code: 3, data: citing.packet))
    }
    // Before the connection exists it is ICMP like any other, which b may not send.
    #expect(try node.leaves(error(from: node.b, citing: cited)).reason == 133)
    #expect(try node.leaves(cited).code == redirected)
    let before = try node.connection()
    #expect(try node.leaves(error(from: node.b, citing: cited)).code == redirected)
    let after = try node.connection()
    #expect((after.expires, after.flags) == (before.expires, before.flags))
    // Nobody else's error, and nothing that the receiver did not send.
    var other = cited
    other.destination = node.c.address(family)
    #expect(try node.leaves(error(from: node.b, citing: other)).reason == 133)
    other = cited
    other.source = node.c.address(family)
    #expect(try node.leaves(error(from: node.b, citing: other)).reason == 133)
    // A router may tell a pod of it, whatever policy says of the router.
    let router = family == .ipv4 ? v4(198, 51, 100, 1) : v6([0x20, 1, 0xd, 0xb8], 1)
    let told = node.frame(
      family, from: router, to: node.a, family.icmp, icmp(family.unreachable, code: 3, data: cited.packet))
    #expect(try node.arrives(told).code == passed)
    var stray = cited
    stray.payload = udp(9, 9)
    stray.proto = Proto.udp
    let strayed = node.frame(
      family, from: router, to: node.a, family.icmp, icmp(family.unreachable, code: 3, data: stray.packet))
    #expect(try node.arrives(strayed).reason == 133)
  }

  /// No packet under way is taken for a question: neither a mark, nor the number of a device makes it one.
  @Test(arguments: Family.allCases) func onlyATestRunAsks(_ family: Family) throws {
    let node = try Node()
    var port: UInt16 = 4000
    for (mark, ingress) in [(0x4d54_4c54, 0), (0xffff_ffff, 1), (0, 0x7fff_ffff)] as [(UInt32, UInt32)] {
      port += 1
      let frame = node.frame(family, from: node.a, to: node.b, Proto.udp, udp(port, 53))
      let outcome = try node.leaves(frame, mark: mark, from: ingress)
      #expect(outcome.code == redirected && outcome.control == [0, 0, 0, 0, 0])
    }
    #expect(try node.conntrack.entries().count == 3)
  }

  /// A question from `martlet policy trace` leaves no trace itself.
  @Test(arguments: Family.allCases) func aTraceWritesNothing(_ family: Family) throws {
    let node = try Node()
    node.settings.flags = MARTLET_CONFIG_TRACE_EVENTS.rawValue
    let frame = node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    #expect(try node.traceLeaving(frame).control == [1, 0, 1, 2, 0])
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    #expect(try node.traceLeaving(frame).control == [3, 0, 1, 6, 44])
    try node.rules(Peer.b, [.init(.ingress, .deny, 6)])
    let denied = try node.traceLeaving(frame)
    #expect(denied.code == shot && denied.control == [2 | 181 << 16, 0, 1, 6, 0])
    var fragment = frame
    fragment.proto = Proto.udp
    fragment.payload = udp(4000, 53, data: [UInt8](repeating: 1, count: 56))
    fragment.moreFragments = true
    _ = try node.traceLeaving(fragment)
    let world = family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let arriving = node.frame(family, from: world, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    let answered = try node.traceArriving(arriving)
    #expect(answered.code == shot && answered.control == [2 | 181 << 16, 0, 0, 6, 0] && answered.events.isEmpty)

    #expect(denied.events.isEmpty)
    #expect(try node.conntrack.entries().isEmpty)
    #expect(try node.metrics.entries().allSatisfy { $0.values.allSatisfy { $0.packets == 0 } })
    let fragments = try node.loaded.map(
      "martlet_fragments", key: martlet_fragment_key.self, value: martlet_fragment_entry.self)
    #expect(try fragments.entries().isEmpty)
    // A living connection does not answer for the policy.
    try node.rules(Peer.b, [.init(.ingress, .allow, 2)])
    _ = try node.leaves(frame)
    try node.rules(Peer.b, [])
    #expect(try node.traceLeaving(frame).control == [2 | 133 << 16, 0, 1, 0, 0])
    // The side that denied is named, although the receiver has no rule for it either.
    try node.rules(Peer.a, [.init(.egress, .deny, 5)])
    let egress = UInt32(MARTLET_EGRESS.rawValue) << UInt32(MARTLET_TRACE_DIRECTION_SHIFT)
    #expect(try node.traceLeaving(frame).control == [2 | egress | 181 << 16, 0, 5, 0, 0])
  }
}
