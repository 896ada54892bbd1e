import Addressing
import BPF
import CMartletABI
import Policy

/// What the loaded program answers about a connection that nobody has opened.
public struct TraceVerdict: Hashable, Sendable {
  /// nil when the program decided nothing: the packet was dropped before it came to policy.
  public let verdict: Verdict?
  /// Hubble's drop reason; 0 when it was not dropped.
  public let dropReason: UInt8
  /// The side that denied, or that sends the connection to the proxy; means nothing for one that is plainly allowed.
  public let direction: Direction
  public let egressRule: UInt32
  public let ingressRule: UInt32
  /// The rule set that will judge its requests, when the verdict is `proxy`.
  public let proxyRules: UInt32

  public init(
    verdict: Verdict?, dropReason: UInt8, direction: Direction, egressRule: UInt32, ingressRule: UInt32,
    proxyRules: UInt32
  ) {
    self.verdict = verdict
    self.dropReason = dropReason
    self.direction = direction
    self.egressRule = egressRule
    self.ingressRule = ingressRule
    self.proxyRules = proxyRules
  }
}

/// One end of a traced connection.
public struct TraceEnd: Hashable, Sendable {
  public let address: IPAddress
  /// nil: not a pod of this node.
  public let endpoint: DatapathEndpoint?

  public init(address: IPAddress, endpoint: DatapathEndpoint?) {
    self.address = address
    self.endpoint = endpoint
  }
}

extension Datapath {
  /// Runs the loaded program on the first packet of a connection (BPF_PROG_TEST_RUN), against the live maps. It judges as
  /// if there were no tracked connection, and writes nothing.
  ///
  /// Throws when neither end is a pod of this node: then no program of this node would see the packet.
  public func trace(from source: TraceEnd, to destination: TraceEnd, ipProtocol: UInt8, port: UInt16) throws
    -> TraceVerdict
  {
    guard let attached = source.endpoint ?? destination.endpoint else {
      throw TraceError(description: "neither \(source.address) nor \(destination.address) is a pod of this node")
    }
    let leaves = source.endpoint != nil
    let packet = ProbePacket(
      sourceMAC: leaves ? attached.podMAC : attached.hostMAC,
      destinationMAC: leaves ? attached.hostMAC : attached.podMAC, source: source.address,
      destination: destination.address, ipProtocol: ipProtocol, sourcePort: 40_000, destinationPort: port)
    var context = SocketBufferContext()
    context.ingressInterfaceIndex = MARTLET_TRACE_INGRESS_IFINDEX
    context.interfaceIndex = attached.interfaceIndex
    _ = try (leaves ? fromContainer : toContainer).testRun(data: packet.bytes, context: &context)
    let words = context.controlBlock
    let decision = words[Int(MARTLET_TRACE_CB_VERDICT)]
    let side = UInt8(truncatingIfNeeded: decision >> UInt32(MARTLET_TRACE_DIRECTION_SHIFT))
    return TraceVerdict(
      verdict: Verdict(rawValue: UInt8(truncatingIfNeeded: decision)),
      dropReason: UInt8(truncatingIfNeeded: words[Int(MARTLET_TRACE_CB_REASON)]),
      direction: Direction(rawValue: side) ?? .ingress,
      egressRule: words[Int(MARTLET_TRACE_CB_EGRESS_RULE)], ingressRule: words[Int(MARTLET_TRACE_CB_INGRESS_RULE)],
      proxyRules: words[Int(MARTLET_TRACE_CB_PROXY_RULES)])
  }
}

/// A trace that can not be answered.
public struct TraceError: Error, CustomStringConvertible {
  public let description: String

  public init(description: String) { self.description = description }
}
