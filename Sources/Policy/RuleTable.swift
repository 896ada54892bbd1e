import Identity
import KubernetesAPI
import ProxyRules

/// Where a verdict comes from.
public struct RuleOrigin: Hashable, Sendable {
  /// nil for the verdicts that no object wrote.
  public let object: ObjectKey?
  /// `spec.ingress[0].toPorts[0].ports[1]`.
  public let path: String
  /// What the policy says of itself, or what the built-in rule is.
  public let description: String
  /// `log.value`: what flows that the rule decides carry.
  public let log: String

  public init(object: ObjectKey?, path: String, description: String = "", log: String = "") {
    self.log = log
    self.object = object
    self.path = path
    self.description = description
  }
}

extension RuleOrigin {
  /// The form that the proxy's configuration carries; nil for what no object wrote.
  public var author: RuleAuthor? {
    object.map { RuleAuthor(kind: $0.kind, namespace: $0.namespace, name: $0.name, path: path) }
  }
}

/// Rule id -> origin. Id 0 is no rule at all; ids below `firstPolicyRule` are built in.
public struct RuleTable: Sendable, Equatable {
  /// No policy selects the endpoint in this direction, so everything is allowed.
  public static let unrestrictedIngress: UInt32 = 1
  public static let unrestrictedEgress: UInt32 = 2
  /// The node reaches its own pods, for probes.
  public static let localHost: UInt32 = 3
  public static let firstPolicyRule: UInt32 = 16

  public internal(set) var origins: [UInt32: RuleOrigin] = [
    RuleTable.unrestrictedIngress: RuleOrigin(
      object: nil, path: "", description: "no policy selects this endpoint on ingress"),
    RuleTable.unrestrictedEgress: RuleOrigin(
      object: nil, path: "", description: "no policy selects this endpoint on egress"),
    RuleTable.localHost: RuleOrigin(object: nil, path: "", description: "the node may reach its own pods"),
  ]

  public subscript(rule: UInt32) -> RuleOrigin? { origins[rule] }
}

/// What a rule id stands for: an object's field. An edit of the object that keeps the field keeps the id.
public struct RuleReference: Hashable, Sendable {
  public let object: ObjectKey
  public let path: String

  public init(object: ObjectKey, path: String) {
    self.object = object
    self.path = path
  }
}

/// Where a set of rules for the proxy applies: a place in one subject's map. Its content may change under the same id, so a
/// connection in the proxy follows the policy.
public struct RuleSetSlot: Hashable, Comparable, Sendable {
  public let subject: NumericIdentity
  public let key: PolicyKey

  public init(subject: NumericIdentity, key: PolicyKey) {
    self.subject = subject
    self.key = key
  }

  public static func < (left: RuleSetSlot, right: RuleSetSlot) -> Bool {
    (left.subject, left.key) < (right.subject, right.key)
  }
}

/// The numbers that must survive a change of policy, and better a restart too. A number given back is reused last.
public struct PolicyAllocations: Sendable {
  public var rules = NumberAllocator<RuleReference>(range: RuleTable.firstPolicyRule...0xFFFF_FFFF, order: .cycling)
  public var ruleSets = NumberAllocator<RuleSetSlot>(range: 1...0xFFFF_FFFF, order: .cycling)
  public var cidrs = CIDRIdentities()

  public init() {}
}
