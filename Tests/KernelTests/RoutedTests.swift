import CMartletABI
import Testing

/// Services whose requests the proxy routes, for pods. A test run has no proxy: what goes there is dropped for want of a
/// socket (178).
@Suite(.enabled(if: isRoot, "needs root")) struct RoutedTests {
  private static let routed = MARTLET_CT_PROXY.rawValue | MARTLET_CT_ROUTED.rawValue
  private let forProxy: UInt32 = 178
  private let noMapping: UInt32 = 167

  private func stage(_ family: Family, _ proto: UInt8 = Proto.tcp, listener: UInt32 = 7) throws -> Balancer {
    let stage = try Balancer(family)
    let backend = Place(address: stage.node.b.address(family), port: 8080)
    try stage.balance(proto, to: [backend], listener: listener)
    return stage
  }

  private func send(_ stage: Balancer, _ flags: UInt8 = TCPFlag.syn, from port: UInt16 = 4000) throws -> Outcome {
    try stage.node.leaves(stage.sent(by: stage.node.a, from: port, to: stage.vip, .tcp, flags))
  }

  @Test(arguments: Family.allCases) func connectionsGoToTheListener(_ family: Family) throws {
    let stage = try stage(family)
    // Nobody judges them: the backend is not chosen yet.
    try stage.node.rules(Peer.a, [])
    let first = try send(stage)
    #expect(first.reason == forProxy)
    let opening = try #require(first.events.first { $0.type == MARTLET_EVENT_VERDICT.rawValue })
    #expect(opening.verdict == MARTLET_PROXY.rawValue && opening.service == Balancer.number)
    #expect(opening.source_identity == Peer.a && opening.rule == 0 && opening.proxy_rules == 7)
    let connection = try stage.node.connection()
    #expect(connection.flags & (Self.routed | MARTLET_CT_TRANSLATED.rawValue) == Self.routed)
    #expect(connection.proxy_rules == 7 && connection.egress_proxy_rules == 0)
    #expect(connection.service == Balancer.number)
    #expect(connection.origin_identity == Peer.a && connection.reply_identity == 0)
    #expect(try stage.nat.entries().isEmpty)
    let data = try send(stage, TCPFlag.ack)
    #expect(data.reason == forProxy && data.events.allSatisfy { $0.type == MARTLET_EVENT_DROP.rawValue })
  }

  /// A connection keeps its listener, and is not judged when policy changes.
  @Test(arguments: Family.allCases) func connectionsKeepTheirListener(_ family: Family) throws {
    let stage = try stage(family)
    _ = try send(stage)
    try stage.balance(Proto.tcp, to: [Place(address: stage.node.b.address(family), port: 8080)], listener: 8)
    try stage.node.rules(Peer.a, [])
    stage.node.settings.policy_revision += 1
    #expect(try send(stage, TCPFlag.ack).reason == forProxy)
    let connection = try stage.node.connection()
    #expect(connection.proxy_rules == 7 && connection.revision == stage.node.settings.policy_revision)
    // The listener, and then the service, may go meanwhile.
    try stage.balance(Proto.tcp, to: [], listener: 0)
    #expect(try send(stage, TCPFlag.ack).reason == forProxy)
    try stage.services.delete(Balancer.number)
    #expect(try send(stage, TCPFlag.ack).reason == forProxy)
    // A new one from the same port is led anew.
    try stage.balance(Proto.tcp, to: [Place(address: stage.node.b.address(family), port: 8080)], listener: 9)
    #expect(try send(stage).reason == forProxy)
    #expect(try stage.node.connection().proxy_rules == 9)
  }

  /// What the proxy answers is let through to the client, and counted for the service.
  @Test(arguments: Family.allCases) func theProxyAnswers(_ family: Family) throws {
    let stage = try stage(family)
    _ = try send(stage)
    let answer = stage.brought(to: stage.node.a, port: 4000, from: stage.vip, .tcp, TCPFlag.syn | TCPFlag.ack)
    let told = try stage.node.arrives(answer, mark: UInt32(MARTLET_MARK_FROM_PROXY))
    #expect(told.code == passed && told.bytes == answer.bytes)
    #expect(try stage.node.connection().flags & MARTLET_CT_SEEN_REPLY.rawValue != 0)
  }

  @Test(arguments: Family.allCases) func translatedConnectionsGoOn(_ family: Family) throws {
    let stage = try stage(family, listener: 0)
    #expect(try send(stage).code == redirected)
    try stage.balance(Proto.tcp, to: [Place(address: stage.node.b.address(family), port: 8080)], listener: 7)
    #expect(try send(stage, TCPFlag.ack).code == redirected)
    #expect(try send(stage, from: 4001).reason == forProxy)
  }

  /// A client that comes back to a port within seconds.
  @Test(arguments: Family.allCases) func aTranslatedConnectionThatIsOverMakesRoom(_ family: Family) throws {
    let stage = try stage(family, listener: 0)
    #expect(try send(stage).code == redirected)
    #expect(try send(stage, TCPFlag.rst).code == redirected)
    try stage.balance(Proto.tcp, to: [Place(address: stage.node.b.address(family), port: 8080)], listener: 7)
    #expect(try send(stage).reason == forProxy)
    #expect(try send(stage, TCPFlag.ack).reason == forProxy)
  }

  @Test(arguments: [UInt32(0), 7], Family.allCases) func whatNobodyRemembersIsNobodys(
    _ listener: UInt32, _ family: Family
  ) throws {
    let stage = try stage(family, listener: listener)
    let stray = try send(stage, TCPFlag.ack)
    #expect(stray.reason == noMapping)
    #expect(try stage.node.conntrack.entries().isEmpty)
    #expect(try send(stage, TCPFlag.rst).events.isEmpty)
  }

  @Test(arguments: [Carrier.udp, .sctp], Family.allCases) func onlyTCPIsRouted(_ carrier: Carrier, _ family: Family)
    throws
  {
    let stage = try Balancer(family)
    let backend = Place(address: stage.node.b.address(family), port: carrier.backendPort)
    try stage.balance(carrier.proto, to: [backend], listener: 7)
    let there = try stage.node.leaves(stage.sent(by: stage.node.a, from: 4000, to: stage.vip, carrier))
    #expect(there.code == redirected)
    #expect(try stage.node.connection().flags & Self.routed == 0)
  }

  /// Nobody needs a backend for that.
  @Test(arguments: Family.allCases) func aServiceWithoutBackendsIsRouted(_ family: Family) throws {
    let stage = try Balancer(family)
    try stage.balance(Proto.tcp, to: [], listener: 7)
    #expect(try send(stage).reason == forProxy)
  }

  /// Clients from outside, by a NodePort. Nothing turns round here, whoever will answer.
  @Test(arguments: Way.all) func clientsFromOutsideAreRouted(_ way: Way) throws {
    let gateway = try Gateway(way)
    let (node, client) = (gateway.node, gateway.client)
    try node.know(client.address, 128, Peer.elsewhere)
    try gateway.nodePort(Proto.tcp, to: [gateway.backend], listener: 7)
    let entered = try gateway.enters(gateway.frame(client, gateway.nodePlace, .tcp, TCPFlag.syn))
    #expect(entered.reason == forProxy)
    #expect(entered.events.first?.service == Balancer.number)
    let connection = try node.connection()
    #expect(connection.flags & Self.routed == Self.routed && connection.proxy_rules == 7)
    #expect(connection.origin_identity == Peer.elsewhere && connection.service == Balancer.number)
    #expect(try gateway.enters(gateway.frame(client, gateway.nodePlace, .tcp)).reason == forProxy)
    // The answer leaves as it is, also where the node has a policy.
    for flags in [UInt32(0), MARTLET_CONFIG_HOST_POLICY.rawValue] {
      node.settings.flags = flags
      let answer = gateway.frame(gateway.nodePlace, client, .tcp, TCPFlag.syn | TCPFlag.ack)
      let departed = try gateway.departs(answer, mark: UInt32(MARTLET_MARK_FROM_PROXY))
      #expect(departed.code == passed && departed.bytes == answer.bytes)
    }
    #expect(try node.connection().flags & MARTLET_CT_SEEN_REPLY.rawValue != 0)
    #expect(try gateway.stage.nat.entries().isEmpty && gateway.sentOn == 0)
  }

  @Test(arguments: Way.all) func sourceRangesHoldForTheProxyToo(_ way: Way) throws {
    let gateway = try Gateway(way)
    try gateway.nodePort(
      Proto.tcp, to: [gateway.backend], flags: MARTLET_SERVICE_SOURCE_RANGES.rawValue, listener: 7)
    let entered = try gateway.enters(gateway.frame(gateway.client, gateway.nodePlace, .tcp, TCPFlag.syn))
    #expect(entered.code == shot && entered.reason == MARTLET_DROP_SERVICE_SOURCE_RANGE.rawValue)
    #expect(try gateway.node.conntrack.entries().isEmpty)
  }

  /// What the proxy asks before it sends a request on.
  @Test(arguments: Family.allCases) func tracesTellWhoIsOnlyWatched(_ family: Family) throws {
    let node = try Node()
    try node.rules(Peer.a, [.init(.egress, .proxy, 7, http: 45)])
    try node.rules(Peer.b, [.init(.ingress, .proxy, 6, http: 44)])
    let syn = node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn))
    for (watched, bits) in [([], 0), ([1], 2), ([2], 1), ([1, 2], 3)] as [(Set<UInt8>, UInt32)] {
      try node.watch(watched)
      let word = try node.traceLeaving(syn).control[0]
      #expect(word >> UInt32(MARTLET_TRACE_PROXY_AUDIT_SHIFT) & 3 == bits, "\(watched)")
    }
  }
}
