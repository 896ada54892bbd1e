import CMartletABI
import Testing

@Suite(.enabled(if: isRoot, "needs root")) struct ConntrackTests {
  /// Both directions of one connection between the pods.
  struct Pair {
    let node: Node
    let family: Family

    func forth(_ proto: UInt8, _ payload: [UInt8]) throws -> Outcome {
      try node.leaves(node.frame(family, from: node.a, to: node.b, proto, payload))
    }

    func back(_ proto: UInt8, _ payload: [UInt8]) throws -> Outcome {
      try node.leaves(node.frame(family, from: node.b, to: node.a, proto, payload))
    }
  }

  /// Only a may begin, and only b may be reached.
  func pair(_ family: Family, entries: UInt32 = 256) throws -> Pair {
    let node = try Node(entries: entries)
    node.settings.flags = MARTLET_CONFIG_TRACE_EVENTS.rawValue
    try node.rules(Peer.a, [.init(.egress, .allow, 1)])
    try node.rules(Peer.b, [.init(.ingress, .allow, 2)])
    return Pair(node: node, family: family)
  }

  @Test(arguments: Family.allCases) func tcpFromSynToFin(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    func flags() throws -> UInt32 { try node.connection().flags & ~MARTLET_CT_ORIGIN_B.rawValue }

    #expect(try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn)).events.count == 1)
    #expect(try flags() == 0)
    #expect((58...60).contains(try node.lifetime()))
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.syn | TCPFlag.ack)).code == redirected)
    #expect(try flags() == MARTLET_CT_SEEN_REPLY.rawValue)
    #expect((21598...21600).contains(try node.lifetime()))
    let data = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.ack, data: [1, 2, 3]))
    #expect(data.code == redirected && data.events.isEmpty)
    #expect(try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.ack | TCPFlag.fin)).code == redirected)
    #expect(try flags() == MARTLET_CT_SEEN_REPLY.rawValue | MARTLET_CT_FIN_ORIGIN.rawValue)
    #expect((21598...21600).contains(try node.lifetime()))
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.ack | TCPFlag.fin)).code == redirected)
    #expect(
      try flags() == MARTLET_CT_SEEN_REPLY.rawValue | MARTLET_CT_FIN_ORIGIN.rawValue | MARTLET_CT_FIN_REPLY.rawValue)
    #expect((8...10).contains(try node.lifetime()))
    // The same ports again: judged and tracked as new.
    #expect(try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn)).events.count == 1)
    #expect(try flags() == 0)
    #expect(try node.counted(0, .egress) == 6)
  }

  @Test(arguments: Family.allCases) func aResetCloses(_ family: Family) throws {
    let pair = try pair(family)
    _ = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.rst | TCPFlag.ack)).code == redirected)
    #expect(try pair.node.connection().flags & MARTLET_CT_RST.rawValue != 0)
    #expect((8...10).contains(try pair.node.lifetime()))
  }

  /// After the maps were lost a connection goes on with its next packet, if policy lets it.
  @Test(arguments: Family.allCases) func adoptsWhatIsUnderWay(_ family: Family) throws {
    let pair = try pair(family)
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.ack)).reason == 133)
    #expect(try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.ack, data: [1])).code == redirected)
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.ack)).code == redirected)
  }

  /// An answer is let through, but nothing else that uses the answer's way.
  @Test(arguments: Family.allCases) func theWayBackIsForAnswersOnly(_ family: Family) throws {
    let pair = try pair(family)
    _ = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.syn)).reason == 133)
    _ = try pair.forth(family.icmp, icmp(family.echoRequest, id: 7))
    #expect(try pair.back(family.icmp, icmp(family.echoReply, id: 7)).code == redirected)
    #expect(try pair.back(family.icmp, icmp(family.echoRequest, id: 7)).reason == 133)
    #expect(try pair.back(family.icmp, icmp(family.echoReply, id: 8)).reason == 133)
    // Identifier 0 has one key for both ends' requests.
    _ = try pair.forth(family.icmp, icmp(family.echoRequest, id: 0))
    #expect(try pair.back(family.icmp, icmp(family.echoReply, id: 0)).code == redirected)
    #expect(try pair.back(family.icmp, icmp(family.echoRequest, id: 0)).reason == 133)
  }

  /// Timestamp and address mask (RFC 792, 950) are asked for and answered as echo is; each type is a connection of its own.
  @Test(arguments: [(13, 14), (17, 18)] as [(UInt8, UInt8)]) func otherRequestsHaveAnswersToo(
    _ request: UInt8, _ reply: UInt8
  ) throws {
    let pair = try pair(.ipv4)
    #expect(try pair.back(1, icmp(reply, id: 7)).reason == 133, "nobody asked")
    #expect(try pair.forth(1, icmp(request, id: 7)).code == redirected)
    #expect(try pair.back(1, icmp(reply, id: 7)).code == redirected)
    #expect(try pair.back(1, icmp(reply, id: 8)).reason == 133)
    #expect(try pair.back(1, icmp(0, id: 7)).reason == 133, "an echo reply answers no \(request)")
    #expect(try pair.back(1, icmp(request, id: 7)).reason == 133)
    // Judged again as what was asked, whichever packet comes first.
    try pair.node.rules(Peer.a, [.init(.egress, .allow, 1, proto: 1, port: UInt16(request))])
    try pair.node.rules(Peer.b, [.init(.ingress, .allow, 1, proto: 1, port: UInt16(request))])
    pair.node.settings.policy_revision += 1
    #expect(try pair.back(1, icmp(reply, id: 7)).code == redirected)
    try pair.node.rules(Peer.a, [.init(.egress, .allow, 1, proto: 1, port: 8)])
    pair.node.settings.policy_revision += 1
    #expect(try pair.back(1, icmp(reply, id: 7)).reason == 133)
  }

  /// An error about a request, and one about its answer, belong to its connection.
  @Test(arguments: [(13, 14), (17, 18)] as [(UInt8, UInt8)]) func errorsAboutOtherRequests(
    _ request: UInt8, _ reply: UInt8
  ) throws {
    let pair = try pair(.ipv4)
    let node = pair.node
    _ = try pair.forth(1, icmp(request, id: 7))
    let asked = node.frame(.ipv4, from: node.a, to: node.b, 1, icmp(request, id: 7))
    #expect(try pair.back(1, icmp(3, code: 3, data: asked.packet)).code == redirected)
    let stray = node.frame(.ipv4, from: node.a, to: node.b, 1, icmp(request, id: 9))
    #expect(try pair.back(1, icmp(3, code: 3, data: stray.packet)).reason == 133)
  }

  @Test(arguments: Family.allCases, [Proto.udp, Proto.sctp]) func datagrams(_ family: Family, _ proto: UInt8) throws {
    let pair = try pair(family)
    func datagram(_ from: UInt16, _ to: UInt16) -> [UInt8] { proto == Proto.udp ? udp(from, to) : sctp(from, to) }
    #expect(try pair.back(proto, datagram(53, 4000)).reason == 133)
    #expect(try pair.forth(proto, datagram(4000, 53)).code == redirected)
    #expect((28...30).contains(try pair.node.lifetime()))
    #expect(try pair.back(proto, datagram(53, 4000)).code == redirected)
    #expect((118...120).contains(try pair.node.lifetime()))
    #expect(try pair.back(proto, datagram(54, 4000)).reason == 133)
  }

  @Test(arguments: Family.allCases) func expiredIsGone(_ family: Family) throws {
    let pair = try pair(family)
    _ = try pair.forth(Proto.udp, udp(4000, 53))
    try pair.node.changeConnection { $0.expires = 1 }
    #expect(try pair.back(Proto.udp, udp(53, 4000)).reason == 133)
    #expect(try pair.forth(Proto.udp, udp(4000, 53)).events.count == 1)
    #expect((28...30).contains(try pair.node.lifetime()))
  }

  @Test(arguments: Family.allCases) func aFullTableRefusesNewAndKeepsOld(_ family: Family) throws {
    let pair = try pair(family, entries: 4)
    for port in UInt16(1)...4 { #expect(try pair.forth(Proto.udp, udp(port, 53)).code == redirected) }
    #expect(try pair.forth(Proto.udp, udp(5, 53)).reason == 155)
    for port in UInt16(1)...4 { #expect(try pair.back(Proto.udp, udp(53, port)).code == redirected) }
    let gone = try #require(try pair.node.conntrack.entries().first?.key)
    try pair.node.conntrack.delete(gone)
    #expect(try pair.forth(Proto.udp, udp(5, 53)).code == redirected)
  }

  @Test(arguments: Family.allCases) func judgesAgainAtAnotherRevision(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    _ = try pair.forth(Proto.udp, udp(4000, 53))
    _ = try pair.back(Proto.udp, udp(53, 4000))
    // A change of policy counts when the revision says so, and then in both directions.
    try node.rules(Peer.b, [.init(.ingress, .deny, 3)])
    #expect(try pair.forth(Proto.udp, udp(4000, 53)).code == redirected)
    node.settings.policy_revision = 2
    let answer = try pair.back(Proto.udp, udp(53, 4000))
    #expect(answer.reason == 181 && answer.events.first?.rule == 3)
    #expect((answer.events.first?.flags ?? 0) & 1 == 1)
    #expect(try pair.forth(Proto.udp, udp(4000, 53)).reason == 181)
    try node.rules(Peer.b, [.init(.ingress, .allow, 4)])
    node.settings.policy_revision = 3
    #expect(try pair.back(Proto.udp, udp(53, 4000)).code == redirected)
    #expect(try node.connection().ingress_rule == 4)
    #expect(try node.connection().revision == 3)
  }

  @Test(arguments: Family.allCases) func theProxyCanNotEnterLater(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    _ = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    _ = try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.syn | TCPFlag.ack))
    try node.rules(Peer.b, [.init(.ingress, .proxy, 3, http: 9)])
    node.settings.policy_revision = 2
    let outcome = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.ack))
    #expect(outcome.reason == 133 && outcome.events.first?.rule == 3)
  }

  @Test(arguments: Family.allCases) func theProxyStaysWhenRulesGo(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    try node.rules(Peer.b, [.init(.ingress, .proxy, 3, http: 9)])
    _ = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    try node.rules(Peer.b, [.init(.ingress, .allow, 4)])
    node.settings.policy_revision = 2
    // Still for the proxy, of which a test run has none.
    #expect(try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.ack)).reason == 178)
    let connection = try node.connection()
    #expect(connection.flags & MARTLET_CT_PROXY.rawValue != 0 && connection.proxy_rules == 0)
    #expect(connection.ingress_rule == 4)
  }

  @Test(arguments: Family.allCases) func packetsOfTheProxy(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    let mark = UInt32(MARTLET_MARK_FROM_PROXY)
    try node.rules(Peer.b, [.init(.ingress, .proxy, 3, http: 9)])
    _ = try pair.forth(Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    let server = node.b.address(family)
    let answer = try node.arrives(
      node.frame(family, from: server, to: node.a, Proto.tcp, tcp(80, 4000, TCPFlag.syn | TCPFlag.ack)), mark: mark)
    #expect(answer.code == passed)
    #expect(try node.connection().flags & MARTLET_CT_SEEN_REPLY.rawValue != 0)
    // Its own connection to the server, with the client's address.
    let client = node.a.address(family)
    let upstream = try node.arrives(
      node.frame(family, from: client, to: node.b, Proto.tcp, tcp(5000, 80, TCPFlag.syn)), mark: mark)
    #expect(upstream.code == passed)
    let zones = try node.conntrack.entries().map(\.key.zone).sorted()
    #expect(zones == [0, 1])
    // The server's answer is for the proxy's socket, which a test run does not have; never for the client.
    #expect(try pair.back(Proto.tcp, tcp(80, 5000, TCPFlag.syn | TCPFlag.ack)).reason == 178)
    #expect(try pair.back(Proto.tcp, tcp(80, 4000, TCPFlag.ack)).reason == 178)
    #expect(
      try node.arrives(node.frame(family, from: client, to: node.b, Proto.sctp, sctp(1, 2)), mark: mark).reason == 180)
  }

  /// What another instance's proxy sends is a packet like any other: only the own one has judged what it sends.
  @Test(arguments: Family.allCases) func packetsOfAnothersProxy(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    let own = UInt32(MARTLET_MARK_FROM_PROXY) | 0x1234_0000
    node.settings.proxy_instance = 0x1234_0000
    try node.rules(Peer.b, [])
    let client = family == .ipv4 ? v4(192, 0, 2, 7) : v6([0x20, 1, 0xd, 0xb8], 7)
    let opening = node.frame(family, from: client, to: node.b, Proto.tcp, tcp(5000, 80, TCPFlag.syn))
    #expect(try node.arrives(opening, mark: own).code == passed)
    #expect(try node.conntrack.entries().map(\.key.zone) == [1])
    for mark in [UInt32(MARTLET_MARK_FROM_PROXY), own ^ 0x0001_0000] {
      #expect(try node.arrives(opening, mark: mark).reason == 133, "\(mark)")
    }
  }

  @Test(arguments: Family.allCases) func datagramsOfTheProxy(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    let mark = UInt32(MARTLET_MARK_FROM_PROXY)
    try node.rules(Peer.a, [.init(.egress, .proxy, 3, proto: Proto.udp, port: 53, http: 9)])
    _ = try pair.forth(Proto.udp, udp(4000, 53))
    let (client, server) = (node.a.address(family), node.b.address(family))
    // The proxy's answer in the server's name, and its own question with the client's address.
    #expect(
      try node.arrives(node.frame(family, from: server, to: node.a, Proto.udp, udp(53, 4000)), mark: mark).code
        == passed)
    #expect(
      try node.arrives(node.frame(family, from: client, to: node.b, Proto.udp, udp(5000, 53)), mark: mark).code
        == passed)
    #expect(try node.conntrack.entries().map(\.key.zone).sorted() == [0, 1])
    // The server's answer to the proxy is marked for it; what the server says to the client past it is dropped.
    let answer = try pair.back(Proto.udp, udp(53, 5000))
    #expect(answer.code == passed && answer.mark == UInt32(MARTLET_MARK_TO_PROXY))
    #expect(try pair.back(Proto.udp, udp(53, 4000)).reason == 178)
    #expect(
      try node.arrives(node.frame(family, from: server, to: node.a, Proto.udp, udp(53, 4000))).code != passed)
  }

  @Test(arguments: Family.allCases) func theProxyEntersAndLeavesBetweenDatagrams(_ family: Family) throws {
    let pair = try pair(family)
    let node = pair.node
    #expect(try pair.forth(Proto.udp, udp(4000, 53)).code == redirected)
    try node.rules(Peer.a, [.init(.egress, .proxy, 3, http: 9)])
    node.settings.policy_revision = 2
    #expect(try pair.forth(Proto.udp, udp(4000, 53)).reason == 178, "for the proxy, of which a test run has none")
    var connection = try node.connection()
    #expect(connection.flags & MARTLET_CT_PROXY.rawValue != 0 && connection.proxy_rules == 9)
    try node.rules(Peer.a, [.init(.egress, .allow, 4)])
    node.settings.policy_revision = 3
    #expect(try pair.forth(Proto.udp, udp(4000, 53)).code == redirected)
    connection = try node.connection()
    #expect(connection.flags & MARTLET_CT_PROXY.rawValue == 0 && connection.proxy_rules == 0)
  }
}
