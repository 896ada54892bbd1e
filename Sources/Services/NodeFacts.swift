import Addressing

/// What a node knows of itself that decides which backends its clients get.
public struct NodeFacts: Hashable, Sendable {
  public var name: String
  /// The label `topology.kubernetes.io/zone` of its Node; nil without.
  public var zone: String?
  /// The node's own addresses. An endpoint that names no node and has one of them is local.
  public var addresses: Set<IPAddress>

  public init(name: String, zone: String? = nil, addresses: Set<IPAddress> = []) {
    self.name = name
    self.zone = zone
    self.addresses = addresses
  }
}

/// What the operator of a node chooses about services.
public struct ServiceSettings: Hashable, Sendable {
  /// For Services without an annotation that names another.
  public var algorithm: BalancingAlgorithm = .random
  /// Entries of a Maglev table: one of ``MaglevTable/sizes``.
  public var maglevSize = MaglevTable.defaultSize
  /// The ports that the kernel knows as NodePorts; nil for no NodePorts.
  public var nodePorts: ClosedRange<UInt16>? = 30000...32767
  /// The values of `loadBalancerClass` whose addresses this node answers for; a Service without a class always counts.
  public var loadBalancerClasses: Set<String> = ["io.cilium/l2-announcer", "io.cilium/bgp-control-plane"]

  public init() {}
}

/// How a new connection gets its backend.
public enum BalancingAlgorithm: String, Hashable, Sendable, CaseIterable {
  case random
  /// By a hash of client and frontend (Eisenbud et al., NSDI 2016): any node chooses alike.
  case maglev
}
