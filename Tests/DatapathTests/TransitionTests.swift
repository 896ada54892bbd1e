import Addressing
import Glibc
import Identity
import JSON
import KubernetesAPI
import Logging
import Policy
import TestSupport
import Testing

@testable import Datapath

/// One policy becomes another, by the loaded program: at every step each address is judged as before or as after.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct TransitionTests {
  private static let subject = NumericIdentity(rawValue: 1000)
  private static let blocks = [
    "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.1/32", "10.2.0.0/16", "172.16.0.0/12", "::/0",
    "fd00::/8", "fd00:1::/32",
  ]
  private static let destinations = [
    "10.3.0.1", "10.1.0.1", "10.1.1.1", "10.1.1.2", "10.2.0.1", "172.16.0.1", "192.0.2.1", "fd00:2::1", "fd00:1::1",
    "2001:db8::1",
  ].compactMap { IPAddress($0) }

  /// A policy about few blocks, most of which are inside of others.
  private static func policy(_ dice: inout SeededGenerator) throws -> PolicyDocument {
    func rule(_ mayExcept: Bool) -> JSONValue {
      if dice.chance(15) { return ["toEntities": ["world"]] }
      let block = dice.pick(blocks)
      let inside = blocks.filter { $0 != block && CIDR(block)?.contains(CIDR($0) ?? CIDR(IPAddress(v4: 0))) == true }
      guard mayExcept, !inside.isEmpty, dice.chance(50) else { return ["toCIDR": [.string(block)]] }
      return ["toCIDRSet": [["cidr": .string(block), "except": [.string(dice.pick(inside))]]]]
    }
    let allowing = (0..<dice.pick([1, 2, 3])).map { _ in rule(true) }
    let denying = (0..<dice.pick([0, 1, 2])).map { _ in rule(false) }
    return PolicyDocument(
      try CiliumNetworkPolicy([
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "p", "namespace": "default"],
        "spec": [
          "endpointSelector": [:], "egress": .array(allowing), "egressDeny": .array(denying),
        ],
      ]))
  }

  @Test(arguments: 0..<40) func `each address is judged as before or as after`(_ seed: Int) throws {
    let pins = DatapathPins(root: "/sys/fs/bpf/martlet-test-\(getpid())-transition-\(seed)")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    defer { try? pins.removeAll() }
    let datapath = try Datapath(pins: pins, sizes: MapSizes([.policies: 8, .connections: 64]), logger: logger)
    let mac = try #require(MACAddress("02:00:00:00:00:01"))
    let sources = try ["10.200.0.1", "fd00:200::1"].map { try #require(IPAddress($0)) }
    let endpoint = DatapathEndpoint(
      id: 1, addresses: sources, interfaceIndex: 1, identity: Self.subject, podMAC: mac, hostMAC: mac)
    try datapath.endpoints.set(endpoint)
    func answers() throws -> [IPAddress: UInt8] {
      try Self.destinations.reduce(into: [:]) { answers, destination in
        let source = TraceEnd(address: sources[destination.isIPv4 ? 0 : 1], endpoint: endpoint)
        answers[destination] = try datapath.trace(
          from: source, to: TraceEnd(address: destination, endpoint: nil), ipProtocol: 6, port: 80
        ).dropReason
      }
    }

    var dice = SeededGenerator(seed: seed)
    var compiler = PolicyCompiler()
    var delta = PolicyDelta()
    delta.changedIdentities[Self.subject] = IdentityDetails(
      labels: IdentityLabels(podLabels: ["app": "a"], namespace: "default"))
    delta.addedSubjects = [Self.subject]
    for round in 0..<4 {
      delta.changedPolicies = [try Self.policy(&dice)]
      _ = compiler.update(delta)
      delta = PolicyDelta()
      let before = try answers()
      let change = try datapath.ipcache.change(to: compiler.compiled.ipcache)
      func expect(_ expected: [IPAddress: UInt8], _ step: String) throws {
        let found = try answers()
        #expect(found == expected, "round \(round): \(step)")
      }
      try datapath.policy.announce(change.transition.coming, to: [Self.subject])
      if round > 0 { try expect(before, "what comes is announced") }
      #expect(try datapath.ipcache.add(change).isEmpty)
      if round > 0 { try expect(before, "blocks are there before maps") }
      let (refused, kept) = datapath.policy.replace(compiler.maps, keeping: change.transition.going)
      #expect(refused.isEmpty)
      let after = try answers()
      try datapath.ipcache.remove(change)
      try expect(after, "blocks go after maps")
      try datapath.policy.forget(kept)
      try expect(after, "what went is forgotten")
      #expect(try datapath.policy.state(Self.subject) == compiler.maps[Self.subject])
      let held = try datapath.ipcache.entries().reduce(into: [CIDR: NumericIdentity]()) { $0[$1.block] = $1.identity }
      #expect(held == compiler.compiled.ipcache)
    }
  }
}
