/// Peers that a rule about all of them names once, told by the ranges of their numbers. The numbers are those of
/// martlet_abi.h; no identity has them.
public enum PeerClass: UInt32, CaseIterable, Sendable {
  /// All that stand for the labels of pods.
  case pods = 0xFFFF_FF01
  /// The other nodes.
  case nodes = 0xFFFF_FF02
  /// All addresses outside of the cluster.
  case world = 0xFFFF_FF03

  /// The class of a peer; nil for one of its own, such as the host.
  public init?(of peer: NumericIdentity) {
    if peer.isCluster {
      self = .pods
    } else if NumericIdentity.nodeRange.contains(peer.rawValue) || peer == ReservedIdentity.remoteNode.identity {
      self = .nodes
    } else if peer.isLocal || PeerClass.worlds.contains(peer) {
      self = .world
    } else {
      return nil
    }
  }

  private static let worlds = [ReservedIdentity.world, .worldIPv4, .worldIPv6].map(\.identity)

  /// The peer in the key of an entry.
  public var peer: NumericIdentity { NumericIdentity(rawValue: rawValue) }

  /// As people read it.
  public var name: String {
    switch self {
    case .pods: "all pods"
    case .nodes: "all other nodes"
    case .world: "all the world"
    }
  }
}
