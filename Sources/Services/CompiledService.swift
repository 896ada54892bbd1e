import Addressing
import KubernetesAPI

/// Where clients send.
public struct FrontendKey: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The unspecified address of a family stands for every address of a node (NodePort).
  public let address: IPAddress
  public let port: UInt16
  public let `protocol`: TransportProtocol

  public init(address: IPAddress, port: UInt16, protocol: TransportProtocol) {
    self.address = address
    self.port = port
    self.protocol = `protocol`
  }

  public var description: String { "\(address.bracketed):\(port)/\(`protocol`)" }

  public static func < (left: FrontendKey, right: FrontendKey) -> Bool {
    (left.address, left.port, left.protocol.rawValue) < (right.address, right.port, right.protocol.rawValue)
  }
}

/// What a frontend is; the numbers are those of `enum martlet_frontend_flags`.
public struct FrontendKinds: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let clusterIP = FrontendKinds(rawValue: 1 << 0)
  public static let nodePort = FrontendKinds(rawValue: 1 << 1)
  public static let externalIP = FrontendKinds(rawValue: 1 << 2)
  public static let loadBalancer = FrontendKinds(rawValue: 1 << 3)
  public static let hostPort = FrontendKinds(rawValue: 1 << 4)

  /// In the words of the API.
  public var names: [String] {
    [
      (FrontendKinds.clusterIP, "ClusterIP"), (.nodePort, "NodePort"), (.externalIP, "ExternalIP"),
      (.loadBalancer, "LoadBalancer"), (.hostPort, "HostPort"),
    ].filter { contains($0.0) }.map(\.1)
  }
}

/// One port of a Service. Ports may share a number, one for each protocol.
public struct PortID: Hashable, Sendable, Comparable {
  public let service: ServiceName
  public let port: UInt16
  public let `protocol`: TransportProtocol

  public init(service: ServiceName, port: UInt16, protocol: TransportProtocol) {
    self.service = service
    self.port = port
    self.protocol = `protocol`
  }

  public static func < (left: PortID, right: PortID) -> Bool {
    (left.service, left.port, left.protocol.rawValue) < (right.service, right.port, right.protocol.rawValue)
  }
}

/// One port of a Service as one kind of client sees it, in one family: what has a number in the kernel.
public struct BalancerID: Hashable, Sendable, Comparable {
  public enum Audience: UInt8, Hashable, Sendable, CaseIterable {
    /// Every backend of the cluster, for whoever is not told apart by one of the others.
    case everyone
    /// Clients of the cluster at the cluster's address, where `internalTrafficPolicy` is Local.
    case inside
    /// Everybody else, where `externalTrafficPolicy` is Local.
    case outside
    /// Everybody else at a load balancer's address, where `loadBalancerSourceRanges` says who may.
    case loadBalancer
  }

  public let port: PortID
  public let family: IPFamily
  public let audience: Audience

  public init(port: PortID, family: IPFamily, audience: Audience) {
    self.port = port
    self.family = family
    self.audience = audience
  }

  public static func < (left: BalancerID, right: BalancerID) -> Bool {
    (left.port, left.family, left.audience.rawValue) < (right.port, right.family, right.audience.rawValue)
  }
}

public struct Frontend: Hashable, Sendable {
  public let key: FrontendKey
  public let kinds: FrontendKinds
  /// For clients of the cluster: its pods and nodes.
  public let cluster: BalancerID
  /// For everybody else; nil where this is no frontend for them.
  public let external: BalancerID?

  public init(key: FrontendKey, kinds: FrontendKinds, cluster: BalancerID, external: BalancerID?) {
    self.key = key
    self.kinds = kinds
    self.cluster = cluster
    self.external = external
  }
}

/// Where a backend listens.
public struct BackendAddress: Hashable, Sendable, Comparable {
  public let address: IPAddress
  public let port: UInt16

  public init(address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  public static func < (left: BackendAddress, right: BackendAddress) -> Bool {
    (left.address, left.port) < (right.address, right.port)
  }
}

/// The backends that new connections go to, and how they are chosen.
public struct Balancer: Hashable, Sendable {
  public struct Member: Hashable, Sendable {
    public let backend: BackendAddress
    /// A pod of this node, or the node itself.
    public let isLocal: Bool
    /// 1-100, in proportion to the others.
    public let weight: Int

    public init(backend: BackendAddress, isLocal: Bool, weight: Int = EndpointWeight.standard) {
      self.backend = backend
      self.isLocal = isLocal
      self.weight = weight
    }
  }

  /// In the order of their addresses, so that the same backends make the same tables on every node.
  public let members: [Member]
  public let algorithm: BalancingAlgorithm
  /// Seconds for which a client keeps its backend; 0: no affinity.
  public let affinity: UInt32
  /// The backend sees the client's address.
  public let keepsSource: Bool
  /// There is no member here, though the Service has backends elsewhere.
  public let drops: Bool
  /// Who may come, sorted; nil for everybody.
  public let sourceRanges: [CIDR]?
  /// The proxy's listener that routes what clients say, instead of a member that is chosen here; 0: none.
  public let listener: UInt32

  public init(
    members: [Member], algorithm: BalancingAlgorithm = .random, affinity: UInt32 = 0, keepsSource: Bool = false,
    drops: Bool = false, sourceRanges: [CIDR]? = nil, listener: UInt32 = 0
  ) {
    self.listener = listener
    self.members = members
    self.algorithm = algorithm
    self.affinity = affinity
    self.keepsSource = keepsSource
    self.drops = drops
    self.sourceRanges = sourceRanges
  }
}

/// What is not done as a Service asks, and the field that asks for it.
public struct ServiceProblem: Hashable, Sendable, CustomStringConvertible {
  public let path: String
  public let message: String

  public init(path: String, message: String) {
    self.path = path
    self.message = message
  }

  public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

/// Everything that a node is to do for one Service.
public struct CompiledService: Hashable, Sendable {
  /// Where a node says to load balancers whether it has backends (`healthCheckNodePort`).
  public struct HealthCheck: Hashable, Sendable {
    public let port: UInt16
    /// Ready endpoints of this node.
    public let localEndpoints: Int
  }

  public let name: ServiceName
  public let type: Service.Kind
  /// By their keys.
  public let frontends: [Frontend]
  public let balancers: [BalancerID: Balancer]
  /// Every endpoint that is known for a port, those that get no new connections among them.
  public let endpoints: [PortID: [ServiceEndpoint]]
  public let healthCheck: HealthCheck?
  public let problems: [ServiceProblem]

  public init(
    name: ServiceName, type: Service.Kind = .clusterIP, frontends: [Frontend], balancers: [BalancerID: Balancer],
    endpoints: [PortID: [ServiceEndpoint]] = [:], healthCheck: HealthCheck? = nil, problems: [ServiceProblem] = []
  ) {
    self.name = name
    self.type = type
    self.frontends = frontends
    self.balancers = balancers
    self.endpoints = endpoints
    self.healthCheck = healthCheck
    self.problems = problems
  }
}
