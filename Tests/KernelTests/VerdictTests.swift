import CMartletABI
import Testing

/// Policy on the first packet of a connection between the two pods: TCP to port 80, told by `rules`.
struct VerdictCase: CustomTestStringConvertible {
  var testDescription: String
  var egress: [Node.Rule] = [.init(.egress, .allow, 1)]
  var ingress: [Node.Rule]
  var reason: UInt32 = 0
  var side = Node.Side.ingress
  /// Author in `side`.
  var rule: UInt32 = 0

  static let all: [VerdictCase] = [
    .init(testDescription: "allowed to the peer", ingress: [.init(.ingress, .allow, 5, peer: Peer.a)], rule: 5),
    .init(testDescription: "allowed to anybody", ingress: [.init(.ingress, .allow, 5)], rule: 5),
    .init(
      testDescription: "allowed to the port",
      ingress: [.init(.ingress, .allow, 5, peer: Peer.a, proto: Proto.tcp, port: 80)], rule: 5),
    .init(
      testDescription: "allowed to a range of ports",
      ingress: [.init(.ingress, .allow, 5, proto: Proto.tcp, port: 64, portBits: 10)], rule: 5),
    .init(testDescription: "no rule", ingress: [], reason: 133),
    .init(
      testDescription: "a rule for somebody else", ingress: [.init(.ingress, .allow, 5, peer: Peer.elsewhere)],
      reason: 133),
    .init(
      testDescription: "a rule for another port",
      ingress: [.init(.ingress, .allow, 5, proto: Proto.tcp, port: 81)], reason: 133),
    .init(
      testDescription: "a rule for another protocol", ingress: [.init(.ingress, .allow, 5, proto: Proto.udp)],
      reason: 133),
    .init(testDescription: "a rule for the other direction", ingress: [.init(.egress, .allow, 5)], reason: 133),
    .init(
      testDescription: "a deny of the peer beats an allow of anybody",
      ingress: [.init(.ingress, .allow, 5), .init(.ingress, .deny, 6, peer: Peer.a)], reason: 181, rule: 6),
    .init(
      testDescription: "a deny of anybody beats an allow of the peer",
      ingress: [.init(.ingress, .deny, 6), .init(.ingress, .allow, 5, peer: Peer.a)], reason: 181, rule: 6),
    .init(
      testDescription: "the longer prefix of one peer counts",
      ingress: [.init(.ingress, .deny, 6), .init(.ingress, .allow, 5, proto: Proto.tcp, port: 80)], rule: 5),
    .init(
      testDescription: "allowed to all pods", ingress: [.init(.ingress, .allow, 5, peer: MARTLET_PEER_PODS)], rule: 5),
    .init(
      testDescription: "allowed to all the world", ingress: [.init(.ingress, .allow, 5, peer: MARTLET_PEER_WORLD)],
      reason: 133),
    .init(
      testDescription: "a deny of all pods beats an allow of the peer and of anybody",
      ingress: [
        .init(.ingress, .allow, 5), .init(.ingress, .deny, 6, peer: MARTLET_PEER_PODS),
        .init(.ingress, .allow, 7, peer: Peer.a),
      ], reason: 181, rule: 6),
    .init(
      testDescription: "a deny of the peer beats an allow of all pods",
      ingress: [.init(.ingress, .allow, 5, peer: MARTLET_PEER_PODS), .init(.ingress, .deny, 6, peer: Peer.a)],
      reason: 181, rule: 6),
    .init(
      testDescription: "a deny of anybody beats an allow of all pods",
      ingress: [.init(.ingress, .allow, 5, peer: MARTLET_PEER_PODS), .init(.ingress, .deny, 6)], reason: 181, rule: 6),
    .init(
      testDescription: "egress has no rule", egress: [], ingress: [.init(.ingress, .allow, 5)], reason: 133,
      side: .egress),
    .init(
      testDescription: "egress is denied", egress: [.init(.egress, .deny, 9, peer: Peer.b)],
      ingress: [.init(.ingress, .allow, 5)], reason: 181, side: .egress, rule: 9),
    .init(
      testDescription: "both deny: the initiator's side is told", egress: [.init(.egress, .deny, 9)],
      ingress: [.init(.ingress, .deny, 5)], reason: 181, side: .egress, rule: 9),
  ]
}

@Suite(.enabled(if: isRoot, "needs root")) struct VerdictTests {
  @Test(arguments: VerdictCase.all, Family.allCases) func judges(_ scenario: VerdictCase, _ family: Family) throws {
    let node = try Node()
    node.settings.flags = MARTLET_CONFIG_TRACE_EVENTS.rawValue
    try node.rules(Peer.a, scenario.egress)
    try node.rules(Peer.b, scenario.ingress)
    let outcome = try node.leaves(
      node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))

    #expect(outcome.code == (scenario.reason == 0 ? redirected : shot))
    try #require(outcome.events.count == 1)
    let event = outcome.events[0]
    let isDrop = scenario.reason != 0
    #expect(UInt32(event.type) == (isDrop ? MARTLET_EVENT_DROP : MARTLET_EVENT_VERDICT).rawValue)
    #expect(UInt32(event.reason) == scenario.reason)
    #expect((isDrop ? event.rule : event.other_rule) == scenario.rule)
    #expect(event.direction == (isDrop ? scenario.side : .egress).rawValue)
    #expect((event.source_identity, event.destination_identity) == (Peer.a, Peer.b))
    #expect((event.source_endpoint, event.destination_endpoint) == (1, 2))
    #expect((event.source_port, event.destination_port) == (UInt16(4000).bigEndian, UInt16(80).bigEndian))
    #expect((event.flags & 4 != 0) == (family == .ipv4))
    #expect(try node.conntrack.entries().count == (isDrop ? 0 : 1))
    #expect(try node.counted(scenario.reason, isDrop ? scenario.side : .egress) == 1)
  }

  @Test(arguments: Family.allCases) func refusesASubjectWithoutPolicy(_ family: Family) throws {
    let node = try Node()
    try node.policy.delete(Peer.b)
    let outcome = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 53)))
    #expect(outcome.code == shot && outcome.reason == 165)
  }

  /// Peers that are no pods of the node, leaving and arriving; `known` is what ipcache holds of the address.
  @Test(arguments: Family.allCases, [nil, 1, 70_000] as [UInt32?]) func judgesByPrefix(
    _ family: Family, known: UInt32?
  ) throws {
    let node = try Node()
    let world = family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let identity = known ?? (family == .ipv4 ? 9 : 10)
    if let known {
      try node.know(world, family == .ipv4 ? 96 + 24 : 64, known)
      try node.know(world, family == .ipv4 ? 96 + 8 : 32, 5)
    }
    try node.rules(Peer.a, [.init(.egress, .allow, 1, peer: identity), .init(.ingress, .allow, 2, peer: identity)])
    let out = try node.leaves(node.frame(family, from: node.a, to: world, Proto.udp, udp(4000, 53)))
    #expect(out.code == passed && out.events.isEmpty)
    let back = try node.arrives(node.frame(family, from: world, to: node.a, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    #expect(back.code == passed && back.events.isEmpty)
    let other = try node.arrives(node.frame(family, from: world, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    #expect(other.code == passed)
    try node.rules(Peer.a, [])
    let fresh = try node.arrives(node.frame(family, from: world, to: node.a, Proto.tcp, tcp(4001, 80, TCPFlag.syn)))
    #expect(fresh.reason == 133 && fresh.events.first?.source_identity == identity)
  }

  @Test(arguments: Family.allCases) func auditsInsteadOfDropping(_ family: Family) throws {
    let node = try Node()
    node.settings.flags = MARTLET_CONFIG_AUDIT.rawValue
    try node.rules(Peer.b, [.init(.ingress, .deny, 6)])
    let outcome = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 53)))
    #expect(outcome.code == redirected)
    let event = try #require(outcome.events.first)
    #expect(event.reason == 181 && event.rule == 6 && event.flags & 2 != 0)
    #expect(try node.counted(181, .ingress) == 0)
  }

  /// The proxy can not be reached in a test run: without a listener the packet is dropped for want of a socket.
  @Test(arguments: Family.allCases) func sendsTCPAndUDPToTheProxy(_ family: Family) throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    let segment = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    #expect(segment.code == shot && segment.reason == 178)
    let connection = try node.connection()
    #expect(connection.flags & MARTLET_CT_PROXY.rawValue != 0 && connection.proxy_rules == 44)
    let datagram = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 53)))
    #expect(datagram.code == shot && datagram.reason == 178)
    let other = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.sctp, sctp(4000, 53)))
    #expect(other.code == shot && other.reason == 180 && other.events.first?.rule == 6)
    try node.rules(Peer.a, [.init(.egress, .proxy, 7, http: 45)])
    let world = family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let away = try node.leaves(node.frame(family, from: node.a, to: world, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    #expect(away.reason == 178, "what leaves the node is read too")
    #expect(away.events.contains { $0.rule == 7 })
  }

  /// Both ends' rules read along: the entry tells the proxy both sets, and which of the ends is only watched.
  @Test(arguments: Family.allCases) func bothEndsSendToTheProxy(_ family: Family) throws {
    let node = try Node()
    let both = MARTLET_CT_AUDIT.rawValue | MARTLET_CT_AUDIT_EGRESS.rawValue
    try node.rules(Peer.a, [.init(.egress, .proxy, 7, http: 45)])
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    let syn = node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    #expect(try node.traceLeaving(syn).control == [3, 45, 7, 6, 44])
    #expect(try node.leaves(syn).reason == 178, "for the proxy, of which a test run has none")
    var connection = try node.connection()
    #expect((connection.proxy_rules, connection.egress_proxy_rules) == (44, 45))
    #expect(connection.flags & both == 0)
    // Judged again, with one of the ends in audit mode.
    try node.rules(Peer.a, [.init(.egress, .proxy, 7, http: 46)])
    try node.watch([1])
    node.settings.policy_revision += 1
    let data = node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.ack))
    _ = try node.leaves(data)
    connection = try node.connection()
    #expect((connection.proxy_rules, connection.egress_proxy_rules) == (44, 46))
    #expect(connection.flags & both == MARTLET_CT_AUDIT_EGRESS.rawValue)
    // One set less: the other's mode is that of both.
    try node.rules(Peer.a, [.init(.egress, .allow, 8)])
    node.settings.policy_revision += 1
    _ = try node.leaves(data)
    connection = try node.connection()
    #expect((connection.proxy_rules, connection.egress_proxy_rules) == (44, 0))
    #expect(connection.flags & both == 0)
  }

  /// What the proxy can not read is dropped by the first end that would have it read.
  @Test(arguments: Family.allCases) func bothEndsCanNotReadSCTP(_ family: Family) throws {
    let node = try Node()
    try node.rules(Peer.a, [.init(.egress, .proxy, 7, http: 45)])
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    let frame = node.frame(family, from: node.a, to: node.b, Proto.sctp, sctp(4000, 53))
    let refused = try node.leaves(frame)
    #expect(refused.reason == 180 && refused.events.first?.rule == 7)
    try node.watch([1])
    let other = try node.leaves(frame)
    #expect(other.reason == 180 && other.events.map(\.rule) == [7, 6])
    try node.watch([1, 2])
    #expect(try node.leaves(frame).code == redirected)
  }

  /// A connection that the proxy has not carried from the start can go on only if neither end refuses anything.
  @Test(arguments: Family.allCases) func bothEndsComeTooLate(_ family: Family) throws {
    let node = try Node()
    _ = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    try node.rules(Peer.a, [.init(.egress, .proxy, 7, http: 45)])
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    let data = node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.ack))
    for (watched, reason) in [([], 133), ([1], 133), ([2], 133), ([1, 2], nil)] as [(Set<UInt8>, UInt8?)] {
      try node.watch(watched)
      node.settings.policy_revision += 1
      let outcome = try node.leaves(data)
      #expect(outcome.code == (reason == nil ? redirected : shot), "\(watched)")
    }
  }

  @Test(arguments: Family.allCases) func turnsRoundWhatTheStackBrings(_ family: Family) throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    let world = family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let outcome = try node.arrives(node.frame(family, from: world, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    #expect(outcome.code == redirected && outcome.events.isEmpty)
    #expect(outcome.mark == UInt32(MARTLET_MARK_TO_PROXY))
    #expect(Array(outcome.bytes.prefix(12)) == node.b.hostMAC + node.b.podMAC)
    // It comes in again at the same device and looks for a socket, without being judged or checked again.
    let again = try node.run("from_container", outcome.bytes, outcome.mark)
    #expect(again.reason == 178)
  }
}
