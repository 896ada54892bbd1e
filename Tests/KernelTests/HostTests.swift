import CMartletABI
import Testing

/// A packet between the node and the outside, or the node and a pod, under the node's own policy.
struct HostCase: CustomTestStringConvertible {
  enum Way { case arrives, leaves, fromPod, toPod }

  var testDescription: String
  var way: Way
  var rules: [Node.Rule]?
  var reason: UInt32 = 0

  static let all: [HostCase] = [
    .init(testDescription: "no policy: the world reaches the node", way: .arrives),
    .init(testDescription: "no policy: the node reaches the world", way: .leaves),
    .init(testDescription: "no policy: a pod reaches the node", way: .fromPod),
    .init(testDescription: "no rule allows the world in", way: .arrives, rules: [], reason: 133),
    .init(testDescription: "no rule allows the node out", way: .leaves, rules: [], reason: 133),
    .init(testDescription: "no rule allows the pod in", way: .fromPod, rules: [], reason: 133),
    .init(testDescription: "no rule allows the node to a pod", way: .toPod, rules: [], reason: 133),
    .init(
      testDescription: "the port is allowed", way: .arrives,
      rules: [.init(.ingress, .allow, 4, proto: Proto.tcp, port: 80)]
    ),
    .init(
      testDescription: "another port is", way: .arrives,
      rules: [.init(.ingress, .allow, 4, proto: Proto.tcp, port: 81)],
      reason: 133),
    .init(testDescription: "a rule denies", way: .leaves, rules: [.init(.egress, .deny, 4)], reason: 181),
    .init(
      testDescription: "the pod is allowed in", way: .fromPod, rules: [.init(.ingress, .allow, 4, peer: Peer.a)]),
    .init(testDescription: "the node may reach the pod", way: .toPod, rules: [.init(.egress, .allow, 4)]),
    .init(
      testDescription: "the node's requests can not be judged", way: .arrives,
      rules: [.init(.ingress, .proxy, 4, http: 7)], reason: 180),
  ]
}

@Suite(.enabled(if: isRoot, "needs root")) struct HostTests {
  /// Of the device by which these frames come.
  let loopbackMAC = [UInt8](repeating: 0, count: 6)

  func address(_ family: Family) -> Address { family == .ipv4 ? v4(192, 0, 2, 1) : v6([0x20, 1, 0xd, 0xb8], 1) }
  func world(_ family: Family) -> Address { family == .ipv4 ? v4(198, 51, 100, 7) : v6([0x20, 1, 0xd, 0xb8], 7) }

  func node(_ rules: [Node.Rule]?) throws -> Node {
    let node = try Node()
    for family in Family.allCases { try node.know(address(family), 128, 1) }
    guard let rules else { return node }
    try node.rules(1, rules)
    node.settings.flags |= MARTLET_CONFIG_HOST_POLICY.rawValue
    return node
  }

  func run(_ node: Node, _ way: HostCase.Way, _ family: Family, reply: Bool = false) throws -> Outcome {
    let segment = reply ? tcp(80, 4000, TCPFlag.syn | TCPFlag.ack) : tcp(4000, 80, TCPFlag.syn)
    func wire(_ from: Address, _ to: Address) -> [UInt8] {
      Frame(
        family: family, sourceMAC: [2, 9, 9, 9, 9, 1], destinationMAC: loopbackMAC, source: from,
        destination: to,
        proto: Proto.tcp, payload: segment
      ).bytes
    }
    let inside = (way == .arrives) != reply
    return switch way {
    case .arrives, .leaves:
      inside
        ? try node.run("from_netdev", wire(world(family), address(family)))
        : try node.run("to_netdev", wire(address(family), world(family)))
    case .fromPod: try node.leaves(node.frame(family, from: node.a, to: address(family), Proto.tcp, segment))
    case .toPod: try node.arrives(node.frame(family, from: address(family), to: node.a, Proto.tcp, segment))
    }
  }

  @Test(arguments: HostCase.all, Family.allCases) func judges(_ scenario: HostCase, _ family: Family) throws {
    let node = try node(scenario.rules)
    let outcome = try run(node, scenario.way, family)
    #expect(outcome.reason == scenario.reason)
    #expect(outcome.code == (scenario.reason == 0 ? passed : shot))
  }

  /// An answer belongs to its connection, whatever the other direction's rules say.
  @Test(arguments: Family.allCases) func answersPass(_ family: Family) throws {
    let node = try node([.init(.ingress, .allow, 4)])
    #expect(try run(node, .arrives, family).code == passed)
    #expect(try run(node, .arrives, family, reply: true).code == passed)
    #expect(try run(node, .leaves, family).reason == 133)
  }

  /// What only passes through the node is judged at the pod's end of it.
  @Test(arguments: Family.allCases) func transitPasses(_ family: Family) throws {
    let node = try node([])
    for program in ["from_netdev", "to_netdev"] {
      var frame = node.frame(family, from: world(family), to: node.a, Proto.tcp, tcp(4000, 80, TCPFlag.syn))
      frame.destinationMAC = loopbackMAC
      #expect(try node.run(program, frame.bytes).code == passed)
    }
    #expect(try node.conntrack.entries().isEmpty)
  }
}
