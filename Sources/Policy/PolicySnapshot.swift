import Addressing
import Identity
import KubernetesAPI

/// A container port that has a name.
public struct NamedPort: Hashable, Comparable, Sendable {
  /// In lower case.
  public let name: String
  /// IPPROTO_*.
  public let `protocol`: UInt8
  public let port: UInt16

  public init(name: String, protocol: UInt8, port: UInt16) {
    self.name = name.lowercased()
    self.protocol = `protocol`
    self.port = port
  }

  public static func < (left: NamedPort, right: NamedPort) -> Bool {
    (left.name, left.protocol, left.port) < (right.name, right.protocol, right.port)
  }
}

/// What the compiler knows of an identity.
public struct IdentityDetails: Hashable, Sendable {
  public let labels: IdentityLabels
  /// The union over the identity's pods.
  public let namedPorts: Set<NamedPort>

  public init(labels: IdentityLabels, namedPorts: Set<NamedPort> = []) {
    self.labels = labels
    self.namedPorts = namedPorts
  }
}

/// All that a policy is compiled from. Reserved identities and those of CIDRs are added by the compiler.
public struct PolicySnapshot: Sendable {
  public var identities: [NumericIdentity: IdentityDetails]
  /// The identities of local endpoints: those that need a map.
  public var subjects: Set<NumericIdentity>
  public var policies: [PolicyDocument]
  /// As in ``PolicyDelta/names``.
  public var names: [IPAddress: Set<String>] = [:]
  public var nodes: NodeIdentities

  public init(
    identities: [NumericIdentity: IdentityDetails] = [:], subjects: Set<NumericIdentity> = [],
    policies: [PolicyDocument] = [], nodes: NodeIdentities = NodeIdentities()
  ) {
    self.nodes = nodes
    self.identities = identities
    self.subjects = subjects
    self.policies = policies
  }
}

/// A change of the snapshot. What is in both a changed and a removed member is removed first, then added.
public struct PolicyDelta: Sendable {
  public var changedIdentities: [NumericIdentity: IdentityDetails] = [:]
  public var removedIdentities: Set<NumericIdentity> = []
  public var addedSubjects: Set<NumericIdentity> = []
  public var removedSubjects: Set<NumericIdentity> = []
  /// New ones, and those that replace the one with the same key.
  public var changedPolicies: [PolicyDocument] = []
  public var removedPolicies: Set<ObjectKey> = []
  /// The names that addresses were answered for and that still hold: all of each address's; none: it has no name now.
  public var names: [IPAddress: Set<String>] = [:]
  /// All nodes, when there is any change of them.
  public var nodes: NodeIdentities?

  public init() {}

  /// From nothing to the snapshot.
  public init(_ snapshot: PolicySnapshot) {
    changedIdentities = snapshot.identities
    addedSubjects = snapshot.subjects
    changedPolicies = snapshot.policies
    names = snapshot.names
    nodes = snapshot.nodes
  }
}

/// Choices about the whole node.
public struct PolicyOptions: Hashable, Sendable {
  /// Whether the node reaches its own pods when no rule says so.
  public enum HostAccess: String, Hashable, Sendable {
    /// Unless a deny rule forbids it: probes of a kubelet come from the node. Such traffic passes HTTP rules by.
    case always
    /// By policy alone.
    case policy
  }

  public var hostAccess: HostAccess

  public init(hostAccess: HostAccess = .always) { self.hostAccess = hostAccess }
}
