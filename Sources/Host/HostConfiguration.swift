import Addressing
import Datapath
import Files
import NodeAPI
import NodeMetrics

/// What `martlet up` is told.
public struct HostConfiguration: Sendable {
  public var directory: StateDirectory
  public var nodeName: String
  /// Where the API server listens. Of this and what follows, nil: as in ``HostDefaults``.
  public var apiAddress: ListenAddress?
  /// One block of each family.
  public var podCIDRs: [CIDR]?
  public var serviceCIDRs: [CIDR]?
  /// Where Prometheus finds the agent and the proxy.
  public var agentMetrics: MetricsAddress?
  public var proxyMetrics: MetricsAddress?
  /// The ports of services on this host; nil: the API server's default.
  public var nodePorts: ClosedRange<UInt16>?
  /// The addresses of load balancers; without one they wait for somebody else's.
  public var loadBalancerCIDRs: [CIDR] = []
  /// Leaves links, pins and workloads' devices in place when `up` ends.
  public var keepsDatapath: Bool
  /// Judge and report, but drop nothing.
  public var audit = false
  /// Devices of the host to the outside: its own traffic is judged there, clients of Services come in there.
  public var devices: [String] = []
  /// What pods send by way of them leaves with the host's address.
  public var masquerades = true
  /// Where pods go with their own address nevertheless.
  public var nativeCIDRs: [CIDR] = []
  /// Source ports of translated connections; nil: the agent's default.
  public var natPorts: ClosedRange<UInt16>?
  /// Who answers clients outside whose backend is on another node; nil: the agent's default.
  public var loadBalancerMode: LoadBalancerMode?
  /// Whether XDP sends on what only turns round at the devices; nil: the agent's default.
  public var acceleration: Acceleration?
  /// Entries of a Maglev table; nil: the agent's default.
  public var maglevSize: Int?
  /// Where the proxy's spans go, as `http://HOST:PORT`, and the percentage of requests without a trace that get one; nil: no
  /// spans but those that listeners ask for, and all requests.
  public var otlpEndpoint: String?
  public var traceSampling: Double?
  public var mapSizes = MapSizes()
  /// Seconds that an address stays after the answer that named it has expired; nil: the agent's default.
  public var fqdnGrace: Int?
  /// Seconds that such an answer holds at least; nil: the agent's default.
  public var fqdnMinimumTTL: Int?

  public init(directory: StateDirectory, nodeName: String, keepsDatapath: Bool) {
    self.directory = directory
    self.nodeName = nodeName
    self.keepsDatapath = keepsDatapath
  }
}

/// Why `martlet up` can not run here.
public struct HostError: Error, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
