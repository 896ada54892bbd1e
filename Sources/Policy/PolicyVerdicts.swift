import Addressing
import Identity
import ProxyRules

/// What compiled policy decides about connections, told without a kernel: for policy that is not in force. It combines
/// entries as martlet_abi.h says, and a test holds it equal to the loaded program.
public struct PolicyVerdicts: Sendable {
  public enum Answer: Hashable, Sendable {
    case allow
    /// `rule` is 0 when no rule allows it; else it is a deny rule.
    case deny(Direction, rule: UInt32)
    /// What is said on it must be allowed by each of these sets: the initiator's, the responder's, or both.
    case proxy([RuleSet])
    /// It would have to be read, and carries nothing that can be.
    case unreadable
  }

  private let maps: [NumericIdentity: PolicyMapState]
  private let ruleSets: [UInt32: RuleSet]
  let blocks: BlockIdentities

  public init(_ compiled: CompiledPolicy) {
    self.init(
      maps: compiled.maps, ruleSets: Dictionary(uniqueKeysWithValues: compiled.ruleSets.map { ($0.id, $0) }),
      blocks: BlockIdentities(compiled.ipcache))
  }

  init(maps: [NumericIdentity: PolicyMapState], ruleSets: [UInt32: RuleSet], blocks: BlockIdentities) {
    self.maps = maps
    self.ruleSets = ruleSets
    self.blocks = blocks
  }

  /// The identity of an address outside of the cluster.
  public func identity(of address: IPAddress) -> NumericIdentity { blocks[CIDR(address)] }

  /// Who an end is, of which an event says that it was `written`: blocks of addresses have numbers of their own in each
  /// compiled policy, pods and the reserved have not.
  public func identity(_ written: NumericIdentity, at address: IPAddress) -> NumericIdentity {
    let worlds = [ReservedIdentity.world, .worldIPv4, .worldIPv6].map(\.identity)
    if written.isCluster || written.isReserved && !worlds.contains(written) { return written }
    return identity(of: address)
  }

  /// Decides about the first packet of a connection, by the policies of those ends that have one here.
  ///
  /// - Parameters:
  ///   - protocol: IPPROTO_*.
  ///   - port: the responder's; for ICMP and ICMPv6 the type.
  public func answer(
    from origin: NumericIdentity, to responder: NumericIdentity, protocol: UInt8, port: UInt16
  ) -> Answer {
    let egress = side(of: origin, .egress, peer: responder, `protocol`, port)
    let ingress = side(of: responder, .ingress, peer: origin, `protocol`, port)
    for side in [egress, ingress] {
      if case .deny = side { return side }
    }
    switch (egress, ingress) {
    case (.allow, .allow): return .allow
    case _ where ![6, 17].contains(`protocol`): return .unreadable
    case (.proxy(let one), .proxy(let other)): return .proxy(one + other)
    default: return egress == .allow ? ingress : egress
    }
  }

  /// What the policy of one end decides; of an end without one nothing is denied.
  func side(
    of subject: NumericIdentity, _ direction: Direction, peer: NumericIdentity, _ number: UInt8, _ port: UInt16
  ) -> Answer {
    guard let map = maps[subject] else { return .allow }
    let found = [peer, PeerClass(of: peer)?.peer, .any].compactMap { $0 }.compactMap {
      entry(map, $0, direction, number, port)
    }
    if let denied = found.first(where: { $0.verdict == .deny }) { return .deny(direction, rule: denied.rule) }
    if found.contains(where: { $0.verdict == .allow }) { return .allow }
    guard let proxied = found.first else { return .deny(direction, rule: 0) }
    return ruleSets[proxied.proxyRules].map { .proxy([$0]) } ?? .deny(direction, rule: 0)
  }

  /// The entry with the longest prefix that matches.
  private func entry(
    _ map: PolicyMapState, _ peer: NumericIdentity, _ direction: Direction, _ number: UInt8, _ port: UInt16
  ) -> PolicyEntry? {
    for length in stride(from: PolicyKey.portPrefix, through: PolicyKey.protocolPrefix, by: -1) {
      let mask = UInt16(truncatingIfNeeded: 0xFFFF << UInt32(PolicyKey.portPrefix - length))
      let key = PolicyKey(peer: peer, direction: direction, protocol: number, port: port & mask, prefixLength: length)
      if let entry = map[key] { return entry }
    }
    return map[PolicyKey(peer: peer, direction: direction, prefixLength: PolicyKey.peerPrefix)]
  }
}
