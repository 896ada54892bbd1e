import CMartletABI
import Testing

/// Pods in audit mode: what becomes of an SCTP packet from a to b, and of the reports about it.
struct AuditCase: CustomTestStringConvertible {
  var testDescription: String
  /// The pods in audit mode, by number.
  var audited: Set<UInt8>
  var egress: [Node.Rule] = [.init(.egress, .allow, 1)]
  var ingress: [Node.Rule] = [.init(.ingress, .allow, 2)]
  var passes: Bool
  /// For each event its side, reason, author, and whether it was only watched.
  var events: [Event]

  struct Event: Equatable {
    var side: Node.Side
    var reason: UInt32
    var rule: UInt32
    var isAudit: Bool
  }

  static let all: [AuditCase] = [
    .init(testDescription: "nothing to report", audited: [1, 2], passes: true, events: []),
    .init(
      testDescription: "the sender is watched", audited: [1], egress: [.init(.egress, .deny, 5)], passes: true,
      events: [.init(side: .egress, reason: 181, rule: 5, isAudit: true)]),
    .init(
      testDescription: "the receiver is watched", audited: [2], ingress: [], passes: true,
      events: [.init(side: .ingress, reason: 133, rule: 0, isAudit: true)]),
    .init(
      testDescription: "the sender is watched, the receiver refuses", audited: [1],
      ingress: [.init(.ingress, .deny, 6)],
      passes: false, events: [.init(side: .ingress, reason: 181, rule: 6, isAudit: false)]),
    .init(
      testDescription: "the receiver is watched, the sender is refused", audited: [2],
      egress: [.init(.egress, .deny, 5)], passes: false,
      events: [.init(side: .egress, reason: 181, rule: 5, isAudit: false)]),
    .init(
      testDescription: "both refuse, the sender is watched", audited: [1], egress: [.init(.egress, .deny, 5)],
      ingress: [], passes: false,
      events: [
        .init(side: .egress, reason: 181, rule: 5, isAudit: true),
        .init(side: .ingress, reason: 133, rule: 0, isAudit: false),
      ]),
    .init(
      testDescription: "both refuse, both are watched", audited: [1, 2], egress: [.init(.egress, .deny, 5)],
      ingress: [.init(.ingress, .deny, 6)], passes: true,
      events: [
        .init(side: .egress, reason: 181, rule: 5, isAudit: true),
        .init(side: .ingress, reason: 181, rule: 6, isAudit: true),
      ]),
    .init(
      testDescription: "what the proxy can not read", audited: [2], ingress: [.init(.ingress, .proxy, 7, http: 4)],
      passes: true, events: [.init(side: .ingress, reason: 180, rule: 7, isAudit: true)]),
  ]
}

@Suite(.enabled(if: isRoot, "needs root")) struct AuditTests {
  @Test(arguments: AuditCase.all, Family.allCases) func watches(_ scenario: AuditCase, _ family: Family) throws {
    let node = try Node()
    try node.watch(scenario.audited)
    try node.rules(Peer.a, scenario.egress)
    try node.rules(Peer.b, scenario.ingress)
    let frame = node.frame(family, from: node.a, to: node.b, Proto.sctp, sctp(4000, 53))
    let watched = scenario.events.filter(\.isAudit).reduce(into: UInt32(0)) { $0 |= 1 << UInt32($1.side.rawValue) }
    #expect(try node.traceLeaving(frame).control[0] >> UInt32(MARTLET_TRACE_AUDITED_SHIFT) == watched)
    let outcome = try node.leaves(frame)
    #expect(outcome.code == (scenario.passes ? redirected : shot))
    let events = outcome.events.map {
      AuditCase.Event(
        side: Node.Side(rawValue: $0.direction) ?? .ingress, reason: UInt32($0.reason), rule: $0.rule,
        isAudit: UInt32($0.flags) & MARTLET_EVENT_AUDIT.rawValue != 0)
    }
    #expect(events == scenario.events)
  }

  /// The mode belongs to the pod whose policy denies, whichever way the packet in hand goes.
  @Test(arguments: Family.allCases) func `a living connection follows the mode`(_ family: Family) throws {
    let node = try Node()
    let there = node.frame(family, from: node.a, to: node.b, Proto.udp, udp(4000, 53))
    let back = node.frame(family, from: node.b, to: node.a, Proto.udp, udp(53, 4000))
    #expect(try node.leaves(there).code == redirected)
    try node.rules(Peer.b, [.init(.egress, .allow, 1)])
    try node.watch([2])
    let watched = try node.leaves(back)
    #expect(watched.code == redirected && watched.events.map(\.direction) == [Node.Side.ingress.rawValue])
    try node.watch([1])
    let refused = try node.leaves(back)
    #expect(refused.code == shot && refused.reason == 133)
  }

  @Test(arguments: Family.allCases) func `the proxy is told`(_ family: Family) throws {
    let node = try Node()
    try node.watch([2])
    try node.rules(Peer.b, [.init(.ingress, .proxy, 7, http: 4)])
    _ = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    let flags = MARTLET_CT_PROXY.rawValue | MARTLET_CT_AUDIT.rawValue
    #expect(try node.connection().flags & flags == flags)
    try node.watch([])
    _ = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.ack)))
    #expect(try node.connection().flags & flags == MARTLET_CT_PROXY.rawValue)
  }

  /// The proxy can not enter a connection that it has not carried from the start.
  @Test(arguments: Family.allCases) func `a connection that comes too late for the proxy`(_ family: Family) throws {
    let node = try Node()
    _ = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    try node.rules(Peer.b, [.init(.ingress, .proxy, 7, http: 4), .init(.egress, .allow, 1)])
    try node.watch([2])
    let data = node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.ack))
    #expect(try node.leaves(data).code == redirected)
    try node.watch([])
    #expect(try node.leaves(data).reason == 133)
  }
}
