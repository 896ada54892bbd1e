import Addressing
import Identity
import KubernetesAPI
import ProxyRules

/// The desired state of everything that policy decides.
public struct CompiledPolicy: Sendable, Equatable {
  /// Subject identity -> its map. Each identity with a local endpoint has one; a map without entries denies all.
  public var maps: [NumericIdentity: PolicyMapState]
  public var rules: RuleTable
  /// By ascending id.
  public var ruleSets: [RuleSet]
  public var status: [ObjectKey: PolicyObjectStatus]
  /// The blocks of addresses that policies name. A block's labels name all that cover it.
  public var cidrIdentities: [CIDR: CIDRIdentity]
  /// The addresses that were answered for names which policies select.
  public var nameIdentities: [IPAddress: NumericIdentity]
  public var nodeAddresses: [IPAddress: NumericIdentity] = [:]

  /// What the ipcache must hold besides pods: nodes, every block in use, and each family as a whole, so that no
  /// address is without identity and no short IPv6 prefix, mapped, covers IPv4.
  public var ipcache: [CIDR: NumericIdentity] {
    var entries = cidrIdentities.mapValues(\.identity)
    // The labels of an address with a name say also what those of its block say.
    for (address, identity) in nameIdentities { entries[CIDR(address)] = identity }
    for world in CompiledPolicy.worlds { entries[world] = CIDRIdentities.world(world).identity }
    for (address, identity) in nodeAddresses { entries[CIDR(address)] = identity }
    return entries
  }

  private static let worlds = [
    CIDR(IPAddress(v4: 0), length: 0), CIDR(IPAddress(high: 0, low: 0), length: 0),
  ].compactMap { $0 }
}

/// The identity of a block of addresses.
public struct CIDRIdentity: Hashable, Sendable {
  public let identity: NumericIdentity
  public let labels: IdentityLabels
}

/// What an update changed; the new values are in the compiler.
public struct PolicyChange: Sendable, Equatable {
  /// Subjects whose map is new or differs.
  public var maps: Set<NumericIdentity> = []
  /// For those of ``maps`` that may be changed in place: how.
  public var patches: [NumericIdentity: PolicyMapPatch] = [:]
  public var removedMaps: Set<NumericIdentity> = []
  /// Ids of rule sets that are new or differ.
  public var ruleSets: Set<UInt32> = []
  public var removedRuleSets: Set<UInt32> = []
  /// Blocks whose identity came, went or has other labels.
  public var cidrs: Set<CIDR> = []
  /// Addresses whose identity by their names came, went or is another.
  public var addresses: Set<IPAddress> = []
  /// What the proxy must know of identities by names.
  public var names = false
  /// Objects whose status is new or differs.
  public var status: Set<ObjectKey> = []
  public var rules = false
  /// The addresses of nodes, or their labels.
  public var nodes = false

  public init() {}

  public var isEmpty: Bool { self == PolicyChange() }

  /// No map and no object differs, only who has which identity.
  public var isOnlyAboutAddresses: Bool {
    var rest = self
    rest.addresses = []
    rest.names = false
    return rest.isEmpty
  }
}
