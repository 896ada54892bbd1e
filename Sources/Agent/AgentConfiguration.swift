import Addressing
import Datapath
import Files
import NodeAPI
import NodeMetrics
import Policy

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
  /// The node's own devices, on which its own traffic is judged; they carry Ethernet frames.
  public var devices: [String] = []
  public var mapSizes = MapSizes()
  /// Where clients of Services are balanced at the socket; nil: nowhere.
  public var socketCgroups: SocketCgroups?
  /// Ports that Services of the type NodePort have.
  public var nodePorts: ClosedRange<UInt16> = 30000...32767
  /// How long addresses stay that were answered for names.
  public var names = NameCache.Options()
  /// Where Prometheus finds this agent.
  public var metricsAddress = MetricsAddress.agent

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
