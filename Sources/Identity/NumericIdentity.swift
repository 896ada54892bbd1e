/// The number of an identity, as the kernel's maps carry it. 1-255 are reserved, 256-65535 belong to sets of pod labels,
/// from 1 << 24 upward to blocks of addresses outside of the cluster, and from 2 << 24 upward to nodes.
public struct NumericIdentity: RawRepresentable, Hashable, Comparable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Any peer, in a policy key; the kernel never finds an endpoint with it.
  public static let any = NumericIdentity(rawValue: 0)

  /// Numbers of identities that stand for the labels of pods.
  public static let clusterRange: ClosedRange<UInt32> = 256...65535

  /// Numbers of identities that stand for a block of addresses; they mean something on this node only.
  public static let localRange: ClosedRange<UInt32> = (1 << 24)...(1 << 24 | 0xFF_FFFF)
  /// The part of them for blocks that policies name.
  public static let blockRange: ClosedRange<UInt32> = (1 << 24)...(1 << 24 | 0x7F_FFFF)
  /// The part of them for addresses that were answered for names.
  public static let nameRange: ClosedRange<UInt32> = (1 << 24 | 0x80_0000)...(1 << 24 | 0xFF_FFFF)

  /// Numbers of identities that stand for the labels of other nodes; they too mean something on this node only.
  public static let nodeRange: ClosedRange<UInt32> = (2 << 24)...(2 << 24 | 0xFF_FFFF)

  public var isReserved: Bool { (1..<256).contains(rawValue) }
  public var isCluster: Bool { NumericIdentity.clusterRange.contains(rawValue) }
  public var isLocal: Bool { NumericIdentity.localRange.contains(rawValue) }
  public var isOfNames: Bool { NumericIdentity.nameRange.contains(rawValue) }

  public static func < (left: NumericIdentity, right: NumericIdentity) -> Bool { left.rawValue < right.rawValue }
}

extension NumericIdentity: CustomStringConvertible {
  public var description: String {
    ReservedIdentity(rawValue: rawValue)?.name ?? PeerClass(rawValue: rawValue)?.name ?? String(rawValue)
  }
}

/// The identities that exist without any pod. The numbers are those of `enum martlet_identity` in martlet_abi.h.
public enum ReservedIdentity: UInt32, CaseIterable, Sendable {
  case host = 1
  case world = 2
  case unmanaged = 3
  case health = 4
  case `init` = 5
  case remoteNode = 6
  case kubeAPIServer = 7
  case ingress = 8
  case worldIPv4 = 9
  case worldIPv6 = 10

  /// The name that labels (`reserved:NAME`) and users know.
  public var name: String {
    switch self {
    case .host: "host"
    case .world: "world"
    case .unmanaged: "unmanaged"
    case .health: "health"
    case .`init`: "init"
    case .remoteNode: "remote-node"
    case .kubeAPIServer: "kube-apiserver"
    case .ingress: "ingress"
    case .worldIPv4: "world-ipv4"
    case .worldIPv6: "world-ipv6"
    }
  }

  public var identity: NumericIdentity { NumericIdentity(rawValue: rawValue) }

  public var labels: IdentityLabels { IdentityLabels([SecurityLabel(source: .reserved, key: name)]) }
}

/// The words that `fromEntities` and `toEntities` accept.
public enum Entity: String, CaseIterable, Sendable {
  case all
  case world
  case worldIPv4 = "world-ipv4"
  case worldIPv6 = "world-ipv6"
  case cluster
  case clusterMesh = "cluster-mesh"
  case host
  case `init`
  case ingress
  case unmanaged
  case remoteNode = "remote-node"
  case health
  case none
  case kubeAPIServer = "kube-apiserver"
}
