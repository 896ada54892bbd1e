import CMartletABI
import KernelABI

/// What the node tells its programs: the map `martlet_config`.
public struct DatapathSettings: Hashable, Sendable {
  /// Emit an event for the first packet of each connection.
  public var traceEvents = true
  /// Judge and report, but do not drop.
  public var audit = false
  /// Lifetimes of tracked connections, in seconds.
  public var tcpSYN: UInt32 = 60
  public var tcpEstablished: UInt32 = 8000
  public var tcpClosing: UInt32 = 10
  /// UDP and ICMP before and after a reply.
  public var datagram: UInt32 = 60
  public var datagramStream: UInt32 = 180

  /// SO_NETNS_COOKIE of the node's own network namespace; 0: the node's own processes are not balanced at the socket.
  public var nodeNamespaceCookie: UInt64 = 0
  /// Ports for NodePort services; nil: none.
  public var nodePorts: ClosedRange<UInt16>? = 30000...32767
  /// Who answers clients outside whose backend is on another node.
  public var loadBalancerMode = LoadBalancerMode.snat
  /// Source ports of translated connections; see ``NATPorts``.
  public var natPorts: ClosedRange<UInt16> = NATPorts.standard
  /// By which the proxy's packets are known.
  public var proxyMark = ProxyMark()

  public init() {}

  /// - Parameter previous: The entry until now, whose revisions go on counting.
  func entry(after previous: martlet_config?) -> martlet_config {
    var flags: UInt32 = 0
    if traceEvents { flags |= UInt32(MARTLET_CONFIG_TRACE_EVENTS.rawValue) }
    if audit { flags |= UInt32(MARTLET_CONFIG_AUDIT.rawValue) }
    flags |= loadBalancerMode.flags
    return martlet_config(
      abi_version: ABI.version, flags: flags, policy_revision: (previous?.policy_revision ?? 0) &+ 1,
      host_identity: UInt32(MARTLET_IDENTITY_HOST.rawValue), ct_tcp_syn: tcpSYN, ct_tcp_established: tcpEstablished,
      ct_tcp_closing: tcpClosing, ct_any: datagram, ct_any_stream: datagramStream, maglev_size: 0,
      node_netns_cookie: nodeNamespaceCookie,
      node_port_first: nodePorts?.lowerBound ?? 0, node_port_last: nodePorts?.upperBound ?? 0,
      nat_port_first: natPorts.lowerBound, nat_port_last: natPorts.upperBound,
      proxy_instance: proxyMark.instance,
      address_revision: NodeConfiguration.addressRevision(after: previous?.address_revision ?? 0))
  }
}
