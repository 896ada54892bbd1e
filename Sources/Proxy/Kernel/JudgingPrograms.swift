import Addressing
import BPF
import CMartletABI
import KernelABI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The datapath's programs that judge the first packet of a connection.
struct JudgingPrograms: Sendable {
  private let fromContainer: Program
  private let toContainer: Program
  /// What comes to the node by its own devices, and what it sends there; nil where nobody named one.
  private let fromDevice: Program?
  private let toDevice: Program?

  /// - Parameter pins: the folder with the pinned programs.
  init(pins: String) throws(BPFError) {
    fromContainer = try .fromPin(pins + "/from_container")
    toContainer = try .fromPin(pins + "/to_container")
    fromDevice = try? Program.fromPin(pins + "/from_netdev")
    toDevice = try? Program.fromPin(pins + "/to_netdev")
  }

  /// - Parameters:
  ///   - source: the address that the connection would come from.
  ///   - policy: what is known of it, but for its rule sets.
  func ask(
    _ source: IPAddress, _ server: SocketAddress, _ ends: JudgedEnds, _ policy: ConnectionPolicy
  ) -> BackendVerdict {
    guard let run = run(source, server, ends) else { return .allowed(policy) }
    var context = SocketBufferContext(interfaceIndex: run.device)
    context.ingressInterfaceIndex = MARTLET_TRACE_INGRESS_IFINDEX
    guard (try? run.program.testRun(data: run.packet.bytes, context: &context)) != nil else { return .unknown }
    return BackendVerdict(TraceAnswer(context.controlBlock), ends, policy)
  }

  /// Which program would see the first packet, where, and the packet; nil when none would.
  private func run(
    _ source: IPAddress, _ server: SocketAddress, _ ends: JudgedEnds
  ) -> (program: Program, device: UInt32, packet: ProbePacket)? {
    let nobody = MACAddress(random: 0)
    var packet = ProbePacket(
      sourceMAC: nobody, destinationMAC: nobody, source: source, destination: server.address,
      ipProtocol: UInt8(IPPROTO_TCP), destinationPort: server.port)
    if let sender = ends.sender {
      packet.sourceMAC = MACAddress(sender.pod_mac)
      packet.destinationMAC = MACAddress(sender.host_mac)
      return (fromContainer, sender.ifindex, packet)
    }
    if let receiver = ends.receiver {
      packet.sourceMAC = MACAddress(receiver.host_mac)
      packet.destinationMAC = MACAddress(receiver.pod_mac)
      return (toContainer, receiver.ifindex, packet)
    }
    // Any device will do: a run that only asks does not look at it.
    return (ends.isForNode ? fromDevice : toDevice).map { ($0, 1, packet) }
  }
}

extension BackendVerdict {
  /// What an answer of the programs means.
  init(_ answer: TraceAnswer, _ ends: JudgedEnds, _ policy: ConnectionPolicy) {
    var policy = policy
    switch UInt32(answer.verdict) {
    case MARTLET_ALLOW.rawValue: self = .allowed(policy)
    case MARTLET_PROXY.rawValue:
      policy.proxyRules = answer.proxyRules
      policy.egressProxyRules = answer.egressProxyRules
      policy.isAudit = answer.isAudit
      policy.isEgressAudit = answer.isEgressAudit
      self = .allowed(policy)
    // The devices' program has no opinion while the node has no policy.
    case MARTLET_VERDICT_NONE.rawValue where ends.sender == nil && ends.receiver == nil: self = .allowed(policy)
    default:
      let isEgress = UInt32(answer.direction) == MARTLET_EGRESS.rawValue
      self = .denied(
        rule: isEgress ? answer.egressRule : answer.ingressRule, reason: UInt16(answer.dropReason), isEgress: isEgress)
    }
  }
}

extension MACAddress {
  fileprivate init(_ octets: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) {
    self = withUnsafeBytes(of: octets) { MACAddress(bytes: Array($0)) } ?? MACAddress(random: 0)
  }
}
