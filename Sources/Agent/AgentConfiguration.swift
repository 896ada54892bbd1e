import Addressing
import Datapath
import Files
import NodeAPI
import NodeMetrics
import Policy
import Services

/// What one node's agent is told at its start.
public struct AgentConfiguration: Sendable {
  public var directory: StateDirectory
  public var nodeName: String
  public var clusterName: String
  /// One IPv4 and one IPv6 block for the pods of this node.
  public var podCIDRs: [CIDR]
  public var mtu: Int
  /// Sets the node's forwarding sysctls, which a host with pods needs.
  public var setsForwarding: Bool
  /// Judge and report, but drop nothing.
  public var audit = false
  /// The node's own devices: its own traffic is judged there, clients of Services from outside come in there. They carry
  /// Ethernet frames.
  public var devices: [String] = []
  /// What pods send by way of these devices leaves with the node's address.
  public var masquerades = true
  /// Where pods go with their own address nevertheless, besides the pods of the cluster.
  public var nativeCIDRs: [CIDR] = []
  public var mapSizes = MapSizes()
  /// Where clients of Services are balanced at the socket; nil: nowhere.
  public var socketCgroups: SocketCgroups?
  /// Ports that Services of the type NodePort have.
  public var nodePorts: ClosedRange<UInt16> = 30000...32767
  /// Who answers clients outside whose backend is on another node.
  public var loadBalancerMode = LoadBalancerMode.snat
  /// Whether XDP sends on what only turns round at the devices.
  public var acceleration = Acceleration.disabled
  /// Source ports of translated connections.
  public var natPorts = NATPorts.standard
  /// Entries of a Maglev table: one of `MaglevTable.sizes`.
  public var maglevSize = MaglevTable.defaultSize
  /// How long addresses stay that were answered for names.
  public var names = NameCache.Options()
  /// Where Prometheus finds this agent.
  public var metricsAddress = MetricsAddress.agent
  /// Where it finds this node's proxy, which serves there by itself.
  public var proxyMetricsAddress = MetricsAddress.proxy

  public init(
    directory: StateDirectory, nodeName: String, clusterName: String = "default", podCIDRs: [CIDR], mtu: Int = 1500,
    setsForwarding: Bool = true
  ) {
    self.directory = directory
    self.nodeName = nodeName
    self.clusterName = clusterName
    self.podCIDRs = podCIDRs
    self.mtu = mtu
    self.setsForwarding = setsForwarding
  }
}
