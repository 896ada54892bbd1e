import Addressing
import Labels

/// What policies refer to by name, and their own surroundings: with it, a policy object says who its peers are.
public struct PolicyContext: Hashable, Sendable {
  /// The name of a Service.
  public struct ServiceName: Hashable, Comparable, Sendable {
    public let namespace: String
    public let name: String

    public init(namespace: String, name: String) {
      self.namespace = namespace
      self.name = name
    }

    public static func < (left: ServiceName, right: ServiceName) -> Bool {
      (left.namespace, left.name) < (right.namespace, right.name)
    }
  }

  /// Who answers for a Service.
  public struct Service: Hashable, Sendable {
    public let labels: LabelSet
    /// Of the pods behind it, in its namespace; nil where someone else writes its endpoints.
    public let selector: LabelSet?
    /// Its endpoints, where it has no selector.
    public let addresses: Set<IPAddress>

    public init(labels: LabelSet = [:], selector: LabelSet? = nil, addresses: Set<IPAddress> = []) {
      self.labels = labels
      self.selector = selector
      self.addresses = addresses
    }
  }

  /// A CiliumCIDRGroup.
  public struct CIDRGroup: Hashable, Sendable {
    public let labels: LabelSet
    public let cidrs: [CIDR]

    public init(labels: LabelSet = [:], cidrs: [CIDR]) {
      self.labels = labels
      self.cidrs = cidrs
    }
  }

  /// The name of a Secret.
  public struct SecretName: Hashable, Sendable {
    public let namespace: String
    public let name: String

    public init(namespace: String, name: String) {
      self.namespace = namespace
      self.name = name
    }
  }

  /// What a policy can refer to: objects of a kind, or one Secret.
  public enum Reference: Hashable, Sendable {
    case services, cidrGroups
    case secret(SecretName)
  }

  /// The name of the cluster, which the entity `cluster` means.
  public var cluster: String
  public var services: [ServiceName: Service] = [:]
  public var cidrGroups: [String: CIDRGroup] = [:]
  /// The items of the Secrets that policies name.
  public var secrets: [SecretName: [String: [UInt8]]] = [:]

  public init(cluster: String = "default") { self.cluster = cluster }
}
