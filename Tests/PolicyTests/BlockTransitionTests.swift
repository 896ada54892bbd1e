import Addressing
import Identity
import Policy
import Testing

/// Whose identity addresses had before blocks came, and have after they went.
@Suite struct BlockTransitionTests {
  private static let world = ReservedIdentity.worldIPv4.identity
  private static func number(_ value: UInt32) -> NumericIdentity { NumericIdentity(rawValue: 1 << 24 + value) }

  private struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let before: [String: NumericIdentity]
    let after: [String: NumericIdentity]
    var coming: [NumericIdentity: NumericIdentity] = [:]
    var going: [NumericIdentity: NumericIdentity] = [:]
  }

  private static let cases = [
    Case(testDescription: "nothing changes", before: ["10.0.0.0/8": number(1)], after: ["10.0.0.0/8": number(1)]),
    Case(
      testDescription: "out of the world", before: [:], after: ["10.0.0.0/8": number(1), "10.1.0.0/16": number(2)],
      coming: [number(1): world, number(2): world]),
    Case(
      testDescription: "out of a wider block", before: ["10.0.0.0/8": number(1)],
      after: ["10.0.0.0/8": number(1), "10.1.0.0/16": number(2)], coming: [number(2): number(1)]),
    Case(
      testDescription: "around a narrower one", before: ["10.1.0.0/16": number(2)],
      after: ["10.0.0.0/8": number(1), "10.1.0.0/16": number(2)], coming: [number(1): world]),
    Case(
      testDescription: "narrower instead of wider", before: ["10.0.0.0/8": number(1)],
      after: ["10.1.0.0/16": number(2)], coming: [number(2): number(1)], going: [number(1): world]),
    Case(
      testDescription: "wider instead of narrower", before: ["10.1.0.0/16": number(2)],
      after: ["10.0.0.0/8": number(1)], coming: [number(1): world], going: [number(2): number(1)]),
    Case(
      testDescription: "another identity", before: ["10.0.0.0/8": number(1)], after: ["10.0.0.0/8": number(2)],
      coming: [number(2): number(1)], going: [number(1): number(2)]),
    Case(
      testDescription: "families stay apart", before: ["fd00::/8": number(1)],
      after: ["fd00::/8": number(1), "10.0.0.0/16": number(2), "fd00::/16": number(3)],
      coming: [number(2): world, number(3): number(1)]),
    Case(
      testDescription: "an address becomes a node's", before: ["10.0.0.1/32": number(1)],
      after: ["10.0.0.1/32": ReservedIdentity.remoteNode.identity]),
  ]

  private static func blocks(_ texts: [String: NumericIdentity]) throws -> [CIDR: NumericIdentity] {
    try texts.reduce(into: [:]) { $0[try #require(CIDR($1.key))] = $1.value }
  }

  @Test(arguments: cases) private func partners(_ scenario: Case) throws {
    let transition = BlockTransition(from: try Self.blocks(scenario.before), to: try Self.blocks(scenario.after))
    #expect(transition.coming == scenario.coming)
    #expect(transition.going == scenario.going)
  }

  private func key(_ peer: NumericIdentity, port: UInt16 = 0) -> PolicyKey {
    port == 0
      ? PolicyKey(peer: peer, direction: .egress, prefixLength: PolicyKey.peerPrefix)
      : PolicyKey(peer: peer, direction: .egress, protocol: 6, port: port, prefixLength: PolicyKey.portPrefix)
  }

  @Test func `what is said of one is said of the other`() {
    let allow = PolicyEntry(verdict: .allow, rule: 16)
    let deny = PolicyEntry(verdict: .deny, rule: 17)
    let (old, new, known) = (Self.number(1), Self.number(2), Self.number(3))
    let state = [key(old): allow, key(old, port: 80): deny, key(.any): deny, key(known): deny]
    #expect(
      BlockTransition.copies(in: state, of: [new: old, known: old, old: Self.world])
        == [key(new): allow, key(new, port: 80): deny], "what is known already says for itself")
    #expect(BlockTransition.copies(in: state, of: [new: Self.world]).isEmpty)
    #expect(BlockTransition.copies(in: state, of: [:]).isEmpty)
  }
}
