import Addressing
import Identity
import Policy
import Testing

/// Whom a block of addresses without an identity in the kernel concerns.
@Suite struct IdentityGapTests {
  private let subject = NumericIdentity(rawValue: 70000)
  private let wide = NumericIdentity(rawValue: 1 << 24)
  private let narrow = NumericIdentity(rawValue: 1 << 24 + 1)

  private func map(_ entries: [(NumericIdentity, Verdict)]) -> PolicyMapState {
    var state: PolicyMapState = [:]
    for (index, (peer, verdict)) in entries.enumerated() {
      let key = PolicyKey(peer: peer, direction: .egress, prefixLength: PolicyKey.peerPrefix)
      state[key] = PolicyEntry(verdict: verdict, rule: 16 + UInt32(index))
    }
    return state
  }

  private func concerned(
    _ entries: [(NumericIdentity, Verdict)], missing: [String], held: [String] = ["10.0.0.0/8"]
  ) throws -> CIDR? {
    func blocks(_ texts: [String]) throws -> [CIDR: NumericIdentity] {
      try texts.reduce(into: [:]) { $0[try #require(CIDR($1))] = $1 == "10.0.0.0/8" ? wide : narrow }
    }
    return IdentityGaps.subjects(
      of: [subject: map(entries)], missing: try blocks(missing), held: try blocks(held))[subject]
  }

  @Test func aDeniedBlockWithinAnAllowedOne() throws {
    let gap = try concerned([(wide, .allow), (narrow, .deny)], missing: ["10.1.0.0/16"])
    #expect(gap == CIDR("10.1.0.0/16"))
  }

  /// As with `except`: the smaller block stands in no entry.
  @Test func anExceptedBlock() throws {
    #expect(try concerned([(wide, .allow)], missing: ["10.1.0.0/16"]) != nil)
  }

  @Test func anAllowedBlockOfTheWorld() throws {
    #expect(try concerned([(narrow, .allow)], missing: ["10.1.0.0/16"], held: []) != nil)
    #expect(try concerned([(narrow, .allow)], missing: ["fd00::/8"], held: []) != nil)
  }

  @Test func nothingIsLostWhereThePolicySaysTheSame() throws {
    #expect(try concerned([(wide, .allow), (narrow, .allow)], missing: ["10.1.0.0/16"]) == nil)
    #expect(try concerned([], missing: ["10.1.0.0/16"]) == nil)
    let world = ReservedIdentity.worldIPv4.identity
    #expect(try concerned([(world, .deny), (narrow, .deny)], missing: ["10.1.0.0/16"], held: []) == nil)
  }

  /// An IPv6 block is not within an IPv4 one, whatever their bits are.
  @Test func familiesStayApart() throws {
    let world = ReservedIdentity.worldIPv6.identity
    #expect(
      try concerned([(wide, .allow), (narrow, .deny), (world, .deny)], missing: ["fd00::/16"]) == nil)
  }
}
