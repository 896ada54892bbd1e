import Addressing
import Identity

/// How addresses pass from one identity to another when the blocks that policies name change.
///
/// Blocks and maps are not written at one moment. So that an address is judged as before or as after in between, and never
/// by a rule that is about the addresses around it, the maps of before know what comes, and those of after what goes.
public struct BlockTransition: Hashable, Sendable {
  /// Identities that come, each with the one that its addresses have until then.
  public let coming: [NumericIdentity: NumericIdentity]
  /// Identities that go, each with the one that its addresses have from then on.
  public let going: [NumericIdentity: NumericIdentity]

  public init(from before: [CIDR: NumericIdentity], to after: [CIDR: NumericIdentity]) {
    coming = BlockTransition.partners(of: after, among: BlockIdentities(before))
    going = BlockTransition.partners(of: before, among: BlockIdentities(after))
  }

  /// Only of addresses outside of the cluster on both sides: an address that becomes a node's is another peer.
  private static func partners(
    of blocks: [CIDR: NumericIdentity], among others: BlockIdentities
  ) -> [NumericIdentity: NumericIdentity] {
    let known = Set(others.blocks.values)
    var found: [NumericIdentity: NumericIdentity] = [:]
    // The widest, where an identity has several blocks.
    let alone = blocks.filter { !known.contains($0.value) && PeerClass(of: $0.value) == .world }
    for (block, identity) in alone.sorted(by: { ($1.key.length, $1.key) < ($0.key.length, $0.key) }) {
      let other = others[block]
      if PeerClass(of: other) == .world { found[identity] = other }
    }
    return found
  }

  /// What `state` lacks to say of each key of `partners` what it says of the value.
  public static func copies(
    in state: PolicyMapState, of partners: [NumericIdentity: NumericIdentity]
  ) -> PolicyMapState {
    guard !partners.isEmpty else { return [:] }
    var heirs = Dictionary(grouping: partners.keys) { partners[$0] }
    let present = Set(state.keys.map(\.peer))
    for (original, all) in heirs { heirs[original] = all.filter { !present.contains($0) } }
    var copies: PolicyMapState = [:]
    for (key, entry) in state {
      for peer in heirs[key.peer] ?? [] {
        let copy = PolicyKey(
          peer: peer, direction: key.direction, protocol: key.protocol, port: key.port, prefixLength: key.prefixLength)
        copies[copy] = entry
      }
    }
    return copies
  }
}

/// Which identity addresses have by their blocks, as the kernel finds it.
struct BlockIdentities {
  let blocks: [CIDR: NumericIdentity]
  private let lengths: [Int]

  init(_ blocks: [CIDR: NumericIdentity]) {
    self.blocks = blocks
    lengths = Set(blocks.keys.map(\.length)).sorted(by: >)
  }

  /// That of the narrowest block around this one, itself included; at last that of the world.
  subscript(block: CIDR) -> NumericIdentity {
    for length in lengths where length <= block.length {
      if let wider = CIDR(block.address, length: length), wider.isIPv4 == block.isIPv4, let identity = blocks[wider] {
        return identity
      }
    }
    return (block.isIPv4 ? ReservedIdentity.worldIPv4 : ReservedIdentity.worldIPv6).identity
  }
}
