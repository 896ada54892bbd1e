import Addressing
import BPF
import CMartletABI
import KernelABI
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Asks the datapath's own programs, by a test run on the first packet of the connection (BPF_PROG_TEST_RUN): the same code
/// that judges what pods send directly. What they answered is remembered for as long as the policy's revision stays.
public final class DatapathJudge: BackendJudge {
  /// What one agent has pinned.
  fileprivate struct Kernel: Sendable {
    let fromContainer: Program
    let toContainer: Program
    /// What the node sends by its own devices; nil where nobody named one.
    let toDevice: Program?
    let endpoints: BPFMap<martlet_addr, martlet_endpoint>
    let ipcache: BPFMap<martlet_ipcache_key, martlet_ipcache_entry>
  }

  private struct Question: Hashable {
    let client: IPAddress
    let server: SocketAddress
  }

  private struct Memory {
    var revision: UInt32 = 0
    var answers: [Question: BackendVerdict] = [:]
  }

  private let maps: String
  private let programs: String
  /// nil until there is something to ask.
  private let kernel = Mutex<Kernel?>(nil)
  private let memory = Mutex(Memory())
  private let revision: @Sendable () -> UInt32

  /// Answers are kept for so many pairs of client and backend.
  private static let greatestCount = 16384

  /// - Parameters:
  ///   - maps: the folder with the datapath's pinned maps.
  ///   - programs: that with its pinned programs.
  ///   - revision: the revision of the datapath's policy in force.
  public init(maps: String, programs: String, revision: @escaping @Sendable () -> UInt32) {
    self.maps = maps
    self.programs = programs
    self.revision = revision
  }

  /// Opens the pins again with the next question: an agent that was started anew may have replaced them.
  public func reopen() {
    kernel.withLock { $0 = nil }
    memory.withLock { $0.answers = [:] }
  }

  private var opened: Kernel? {
    kernel.withLock { kernel in
      if let kernel { return kernel }
      kernel = try? DatapathJudge.open(maps, programs)
      return kernel
    }
  }

  private static func open(_ maps: String, _ programs: String) throws(BPFError) -> Kernel {
    Kernel(
      fromContainer: try .fromPin(programs + "/from_container"), toContainer: try .fromPin(programs + "/to_container"),
      toDevice: try? Program.fromPin(programs + "/to_netdev"), endpoints: try .fromPin(MapName.endpoints.pin(in: maps)),
      ipcache: try .fromPin(MapName.ipcache.pin(in: maps)))
  }

  public func judge(client: SocketAddress, server: SocketAddress) -> BackendVerdict {
    let question = Question(client: client.address, server: server)
    // Before the policy is read: an answer at an older revision than it is kept for does no harm, the other way round it would.
    let revision = revision()
    let known = memory.withLock { memory -> BackendVerdict? in
      if memory.revision != revision {
        memory.revision = revision
        memory.answers.removeAll(keepingCapacity: true)
      }
      return memory.answers[question]
    }
    if let known { return known }
    guard let verdict = opened?.ask(client.address, server, revision) else { return Kernel.unknown }
    memory.withLock { memory in
      guard memory.revision == revision else { return }
      if memory.answers.count >= DatapathJudge.greatestCount { memory.answers.removeAll(keepingCapacity: true) }
      memory.answers[question] = verdict
    }
    return verdict
  }
}

extension DatapathJudge.Kernel {
  /// Where nothing could be asked, nothing is let through.
  fileprivate static let unknown = BackendVerdict.denied(
    rule: 0, reason: UInt16(MARTLET_DROP_NO_POLICY_CONFIGURATION.rawValue), isEgress: true)

  fileprivate func ask(_ client: IPAddress, _ server: SocketAddress, _ revision: UInt32) -> BackendVerdict {
    do {
      // The node's own programs are known by the address that they would have.
      let source = client.isLoopback ? DatapathJudge.ownAddress(towards: server) : client
      guard let source else { return Self.unknown }
      let sender = try endpoints.lookup(martlet_addr(source))
      let receiver = try endpoints.lookup(martlet_addr(server.address))
      var policy = ConnectionPolicy(
        proxyRules: 0, sourceIdentity: try identity(source, sender),
        destinationIdentity: try identity(server.address, receiver), revision: revision)
      // A pod reaches itself, whatever the policies say.
      if client == server.address { return .allowed(policy) }
      guard let run = run(source, sender, server, receiver) else { return .allowed(policy) }
      var context = SocketBufferContext(interfaceIndex: run.device)
      context.ingressInterfaceIndex = MARTLET_TRACE_INGRESS_IFINDEX
      _ = try run.program.testRun(data: run.packet.bytes, context: &context)
      let answer = TraceAnswer(context.controlBlock)
      switch UInt32(answer.verdict) {
      case MARTLET_ALLOW.rawValue: return .allowed(policy)
      case MARTLET_PROXY.rawValue:
        policy.proxyRules = answer.proxyRules
        policy.egressProxyRules = answer.egressProxyRules
        policy.isAudit = answer.isAudit
        policy.isEgressAudit = answer.isEgressAudit
        return .allowed(policy)
      // The devices' program has no opinion while the node has no policy.
      case MARTLET_VERDICT_NONE.rawValue where sender == nil && receiver == nil: return .allowed(policy)
      default:
        let isEgress = UInt32(answer.direction) == MARTLET_EGRESS.rawValue
        return .denied(
          rule: isEgress ? answer.egressRule : answer.ingressRule, reason: UInt16(answer.dropReason),
          isEgress: isEgress)
      }
    } catch {
      return Self.unknown
    }
  }

  /// Which program would see the first packet, where, and the packet; nil when none would.
  private func run(
    _ source: IPAddress, _ sender: martlet_endpoint?, _ server: SocketAddress, _ receiver: martlet_endpoint?
  ) -> (program: Program, device: UInt32, packet: ProbePacket)? {
    let nobody = MACAddress(random: 0)
    var packet = ProbePacket(
      sourceMAC: nobody, destinationMAC: nobody, source: source, destination: server.address,
      ipProtocol: UInt8(IPPROTO_TCP), destinationPort: server.port)
    if let sender {
      packet.sourceMAC = MACAddress(sender.pod_mac)
      packet.destinationMAC = MACAddress(sender.host_mac)
      return (fromContainer, sender.ifindex, packet)
    }
    if let receiver {
      packet.sourceMAC = MACAddress(receiver.host_mac)
      packet.destinationMAC = MACAddress(receiver.pod_mac)
      return (toContainer, receiver.ifindex, packet)
    }
    // Any device will do: a run that only asks does not look at it.
    return toDevice.map { ($0, 1, packet) }
  }

  private func identity(_ address: IPAddress, _ endpoint: martlet_endpoint?) throws(BPFError) -> UInt32 {
    if let endpoint { return endpoint.identity }
    let world = address.isIPv4 ? MARTLET_IDENTITY_WORLD_IPV4 : MARTLET_IDENTITY_WORLD_IPV6
    let length = address.isIPv4 ? 32 : 128
    guard let host = CIDR(address, length: length) else { return world.rawValue }
    return try ipcache.lookup(martlet_ipcache_key(host))?.identity ?? world.rawValue
  }
}

extension DatapathJudge {
  /// The address that the node's own connections to a server have; nil without a route. Nothing is sent.
  fileprivate static func ownAddress(towards server: SocketAddress) -> IPAddress? {
    let fd = Socket.open(.udp, family: server.address.isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return nil }
    defer { close(fd) }
    guard Socket.connect(fd, server) == 0 else { return nil }
    return Socket.localAddress(fd)?.address
  }
}

extension MACAddress {
  fileprivate init(_ octets: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)) {
    self = withUnsafeBytes(of: octets) { MACAddress(bytes: Array($0)) } ?? MACAddress(random: 0)
  }
}
