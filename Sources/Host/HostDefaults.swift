import Addressing
import ControlPlane
import NodeMetrics

/// What `martlet up` takes where nobody says anything: the first of each list, or the next when another instance of the network
/// namespace has that.
public enum HostDefaults {
  /// An IPv4 and an IPv6 block each.
  public static let podCIDRs: [[CIDR]] = (Array(244...255) + Array(128...243)).map {
    blocks(["10.\($0).0.0/16", "fd00:10:\($0)::/64"])
  }

  public static let serviceCIDRs: [[CIDR]] =
    [blocks(ControlPlaneConfiguration.defaultServiceCIDRs)]
    + (97...127).map { blocks(["10.\($0).0.0/16", "fd00:10:\($0)::/112"]) }

  static let apiPorts: [UInt16] = Array(6443...6542)
  static let agentMetricsPorts = every(10, from: MetricsAddress.agent.port)
  static let proxyMetricsPorts = every(10, from: MetricsAddress.proxy.port)

  private static func every(_ step: UInt16, from first: UInt16) -> [UInt16] { (0..<100).map { first + $0 * step } }

  private static func blocks(_ texts: [String]) -> [CIDR] { texts.compactMap { CIDR($0) } }
}
