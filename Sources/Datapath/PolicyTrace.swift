import Addressing
import BPF
import CMartletABI
import KernelABI
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
  /// The initiator's rule set when both ends have one, and `proxyRules` is the responder's; else 0.
  public let egressProxyRules: UInt32
  /// The sides that would have dropped it, were their ends not in audit mode.
  public let audited: Set<Direction>

  public init(
    verdict: Verdict?, dropReason: UInt8, direction: Direction, egressRule: UInt32, ingressRule: UInt32,
    proxyRules: UInt32, egressProxyRules: UInt32 = 0, audited: Set<Direction> = []
  ) {
    self.audited = audited
    self.verdict = verdict
    self.dropReason = dropReason
    self.direction = direction
    self.egressRule = egressRule
    self.ingressRule = ingressRule
    self.proxyRules = proxyRules
    self.egressProxyRules = egressProxyRules
  }
}

/// One end of a traced connection.
public struct TraceEnd: Hashable, Sendable {
  public let address: IPAddress
  /// nil: not a pod of this node.
  public let endpoint: DatapathEndpoint?
  /// It is this node.
  public let isNode: Bool

  public init(address: IPAddress, endpoint: DatapathEndpoint?, isNode: Bool = false) {
    self.address = address
    self.endpoint = endpoint
    self.isNode = isNode
  }
}

extension Datapath {
  /// Runs the loaded program on the first packet of a connection (BPF_PROG_TEST_RUN), against the live maps. It judges as
  /// if there were no tracked connection, and writes nothing.
  ///
  /// Throws when no program of this node would see the packet: neither end is a pod of it, nor the node itself with the
  /// other end behind a device that was named.
  public func trace(from source: TraceEnd, to destination: TraceEnd, ipProtocol: UInt8, port: UInt16) throws
    -> TraceVerdict
  {
    guard let attached = source.endpoint ?? destination.endpoint else {
      return try traceNode(from: source, to: destination, ipProtocol: ipProtocol, port: port)
    }
    let leaves = source.endpoint != nil
    let packet = ProbePacket(
      sourceMAC: leaves ? attached.podMAC : attached.hostMAC,
      destinationMAC: leaves ? attached.hostMAC : attached.podMAC, source: source.address,
      destination: destination.address, ipProtocol: ipProtocol, destinationPort: port)
    return try ask(leaves ? fromContainer : toContainer, about: packet, interfaceIndex: attached.interfaceIndex)
  }

  private func traceNode(from source: TraceEnd, to destination: TraceEnd, ipProtocol: UInt8, port: UInt16) throws
    -> TraceVerdict
  {
    guard source.isNode != destination.isNode else {
      throw TraceError(
        description: source.isNode
          ? "both ends are this node: what it says to itself is not judged"
          : "neither \(source.address) nor \(destination.address) is a pod of this node, or the node")
    }
    guard let (program, index) = try host.program(source.isNode ? .egress : .ingress) else {
      throw TraceError(description: "nothing judges it: no device of this node is named with --device")
    }
    let packet = ProbePacket(
      sourceMAC: MACAddress(random: 0), destinationMAC: MACAddress(random: 0), source: source.address,
      destination: destination.address, ipProtocol: ipProtocol, destinationPort: port)
    return try ask(program, about: packet, interfaceIndex: index)
  }

  private func ask(_ program: Program, about packet: ProbePacket, interfaceIndex: UInt32) throws -> TraceVerdict {
    var context = SocketBufferContext()
    context.ingressInterfaceIndex = MARTLET_TRACE_INGRESS_IFINDEX
    context.interfaceIndex = interfaceIndex
    _ = try program.testRun(data: packet.bytes, context: &context)
    let answer = TraceAnswer(context.controlBlock)
    return TraceVerdict(
      verdict: Verdict(rawValue: answer.verdict), dropReason: answer.dropReason,
      direction: Direction(rawValue: answer.direction) ?? .ingress, egressRule: answer.egressRule,
      ingressRule: answer.ingressRule, proxyRules: answer.proxyRules, egressProxyRules: answer.egressProxyRules,
      audited: Set(Direction.allCases.filter { answer.audited & 1 << $0.rawValue != 0 }))
  }
}

/// A trace that can not be answered.
public struct TraceError: Error, CustomStringConvertible {
  public let description: String

  public init(description: String) { self.description = description }
}
