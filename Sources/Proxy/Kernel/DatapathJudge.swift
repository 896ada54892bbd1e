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
/// that judges what pods send directly.
public final class DatapathJudge: BackendJudge {
  /// What one agent has pinned, opened when it is first needed.
  private struct Opened: Sendable {
    var maps: JudgedMaps?
    var programs: JudgingPrograms?
  }

  private let maps: String
  private let programs: String
  private let opened = Mutex(Opened())
  private let epoch = Atomic<UInt32>(0)
  private let revision: @Sendable () -> UInt32
  private let agentAddresses: @Sendable () -> UInt32
  private let names: AddressWrites

  /// - Parameters:
  ///   - maps: the folder with the datapath's pinned maps.
  ///   - programs: that with its pinned programs.
  ///   - names: what this process writes of addresses itself.
  ///   - revision: the revision of the datapath's policy in force.
  ///   - addresses: the agent's count of changes of addresses; 0: it does not count.
  init(
    maps: String, programs: String, names: AddressWrites, revision: @escaping @Sendable () -> UInt32,
    addresses: @escaping @Sendable () -> UInt32
  ) {
    self.names = names
    agentAddresses = addresses
    self.maps = maps
    self.programs = programs
    self.revision = revision
  }

  /// Opens the pins again with the next question: an agent that was started anew may have replaced them.
  public func reopen() {
    opened.withLock { $0 = Opened() }
    epoch.add(1, ordering: .releasing)
  }

  private var openedMaps: JudgedMaps? {
    opened.withLock { opened in
      if opened.maps == nil { opened.maps = try? JudgedMaps(pins: maps) }
      return opened.maps
    }
  }

  private var openedPrograms: JudgingPrograms? {
    opened.withLock { opened in
      if opened.programs == nil { opened.programs = try? JudgingPrograms(pins: programs) }
      return opened.programs
    }
  }

  public var addressRevision: AddressRevision? {
    let agent = agentAddresses()
    if agent == 0 || names.hasOthers { return nil }
    return AddressRevision(agent: agent, names: names.count, maps: epoch.load(ordering: .acquiring))
  }

  public func parties(client: SocketAddress, server: SocketAddress) -> BackendParties? {
    // First: what is found in the maps of before, under a later number, would be kept.
    let epoch = epoch.load(ordering: .acquiring)
    return try? openedMaps?.ends(client.address, server).parties(epoch)
  }

  public func judge(client: SocketAddress, server: SocketAddress) -> BackendVerdict {
    // Before the policy is read, as what is found is said to be of this revision.
    let revision = revision()
    guard let maps = openedMaps, let ends = try? maps.ends(client.address, server) else { return .unknown }
    guard let isService = try? ends.receiver == nil && maps.isService(server) else { return .unknown }
    if isService { return .unreachable }
    let parties = ends.parties(0)
    let policy = ConnectionPolicy(
      proxyRules: 0, sourceIdentity: parties.client.identity, destinationIdentity: parties.server.identity,
      revision: revision)
    // A pod reaches itself, whatever the policies say.
    if client.address == server.address { return .allowed(policy) }
    // The node's own programs are known by the address that they would have, and so is the proxy where it asks for clients
    // outside. The node itself is to know who they are.
    let isOfNode = client.address.isLoopback || (parties.meetAtNode && !ends.isForNode)
    let source = isOfNode ? DatapathJudge.ownAddress(towards: server) : client.address
    guard let source, !server.address.isLoopback || client.address.isLoopback, let programs = openedPrograms else {
      return .unknown
    }
    return programs.ask(source, server, ends, policy)
  }

  /// The address that the node's own connections to a server have; nil without a route. Nothing is sent.
  private static func ownAddress(towards server: SocketAddress) -> IPAddress? {
    let fd = Socket.open(.udp, family: server.address.isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return nil }
    defer { close(fd) }
    guard Socket.connect(fd, server) == 0 else { return nil }
    return Socket.localAddress(fd)?.address
  }
}
