import Addressing
import Identity

/// Whose policy would be misapplied because the kernel could not be told the identity of some blocks of addresses.
///
/// An address in a block without an entry has the identity of the next wider block that has one, at last that of the
/// world. Where a policy says the same of both nothing is lost; where it does not, an address that is denied might be
/// allowed, so its subject must be denied everything until there is room.
public enum IdentityGaps {
  /// The subjects that the gaps concern, each with the first block that shows it.
  ///
  /// - Parameters:
  ///   - missing: what the kernel could not be told.
  ///   - held: what it was told.
  public static func subjects(
    of maps: [NumericIdentity: PolicyMapState], missing: [CIDR: NumericIdentity], held: [CIDR: NumericIdentity]
  ) -> [NumericIdentity: CIDR] {
    if missing.isEmpty { return [:] }
    let held = BlockIdentities(held)
    var confusions: [Confusion: CIDR] = [:]
    for (block, identity) in missing.sorted(by: { $0.key < $1.key }) {
      let confusion = Confusion(identity: identity, taken: held[block])
      if confusion.identity != confusion.taken, confusions[confusion] == nil { confusions[confusion] = block }
    }
    let order = confusions.sorted { $0.value < $1.value }
    var found: [NumericIdentity: CIDR] = [:]
    for (subject, state) in maps {
      let verdicts = verdicts(state, of: Set(order.flatMap { [$0.key.identity, $0.key.taken] }))
      found[subject] = order.first { verdicts[$0.key.identity] != verdicts[$0.key.taken] }?.value
    }
    return found
  }

  /// An identity, and the one that the kernel sees in its place.
  private struct Confusion: Hashable {
    let identity: NumericIdentity
    let taken: NumericIdentity
  }

  /// What a policy says of each of some peers, without who says it.
  private static func verdicts(
    _ state: PolicyMapState, of peers: Set<NumericIdentity>
  ) -> [NumericIdentity: [PolicyKey: [UInt32]]] {
    var verdicts: [NumericIdentity: [PolicyKey: [UInt32]]] = [:]
    for (key, entry) in state {
      if let whole = PeerClass(rawValue: key.peer.rawValue) {
        for peer in peers where PeerClass(of: peer) == whole {
          verdicts[peer, default: [:]][key] = [UInt32(entry.verdict.rawValue), entry.proxyRules]
        }
      }
      guard peers.contains(key.peer) else { continue }
      let anyPeer = PolicyKey(
        peer: .any, direction: key.direction, protocol: key.protocol, port: key.port, prefixLength: key.prefixLength)
      verdicts[key.peer, default: [:]][anyPeer] = [UInt32(entry.verdict.rawValue), entry.proxyRules]
    }
    return verdicts
  }
}
