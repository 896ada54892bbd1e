import Addressing
import BPF
import CLinux
import CMartletABI
import KernelABI
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Asks the datapath's connection table what it decided when it gave a connection to the proxy.
public final class ConntrackResolver: ConnectionResolver {
  /// Maps of the datapath, as one agent has made them.
  private struct Maps: Sendable {
    let connections: BPFMap<martlet_ct_key, martlet_ct_entry>
    let configuration: BPFMap<UInt32, martlet_config>
  }

  private let pins: String
  private let maps: Mutex<Maps>
  /// Where the configuration lies in this process's memory, so that its revision is a plain load for each request. The
  /// pages of earlier maps stay, as another thread may be reading; a datapath is seldom made anew.
  private let page: Atomic<UInt>

  /// - Parameter pins: the folder with the datapath's pinned maps.
  public init(pins: String) throws(BPFError) {
    let found = try ConntrackResolver.open(pins)
    self.pins = pins
    page = Atomic(try ConntrackResolver.map(found.configuration.raw))
    maps = Mutex(found)
  }

  deinit {
    munmap(UnsafeMutableRawPointer(bitPattern: page.load(ordering: .relaxed)), sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Opens the pins again if they are other maps than those in use. Whether they are.
  public func reopen() throws(BPFError) -> Bool {
    let found = try ConntrackResolver.open(pins)
    let inUse = maps.withLock { $0 }
    if found.connections.info.id == inUse.connections.info.id,
      found.configuration.info.id == inUse.configuration.info.id
    {
      return false
    }
    let mapped = try ConntrackResolver.map(found.configuration.raw)
    maps.withLock { $0 = found }
    page.store(mapped, ordering: .releasing)
    return true
  }

  private static func open(_ pins: String) throws(BPFError) -> Maps {
    Maps(
      connections: try .fromPin(MapName.connections.pin(in: pins)),
      configuration: try .fromPin(MapName.configuration.pin(in: pins)))
  }

  private static func map(_ configuration: RawMap) throws(BPFError) -> UInt {
    let size = sysconf(Int32(_SC_PAGESIZE))
    guard let mapped = mmap(nil, size, PROT_READ, MAP_SHARED, configuration.fileDescriptor, 0), mapped != MAP_FAILED
    else { throw BPFError(call: "mmap", errno: errno, detail: "map \"\(MapName.configuration)\"") }
    return UInt(bitPattern: mapped)
  }

  public var revision: UInt32 { number(\.policy_revision) }

  /// The agent's count of changes of addresses; 0: it does not count.
  var addressRevision: UInt32 { number(\.address_revision) }

  @inline(__always)
  private func number(_ field: KeyPath<martlet_config, UInt32>) -> UInt32 {
    let base = UnsafeRawPointer(bitPattern: page.load(ordering: .acquiring))
    let offset = MemoryLayout<martlet_config>.offset(of: field) ?? 0
    return base.map { clinux_load_acquire_u32($0 + offset) } ?? 0
  }

  public func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
    if transport == .tcp, let listener = Self.listener(at: server.address) {
      return .routed(
        sourceIdentity: MARTLET_IDENTITY_HOST.rawValue, service: 0, revision: revision, listener: listener)
    }
    let (key, clientIsB) = Self.key(client: client, server: server, transport)
    let connections = maps.withLock(\.connections)
    // A connection that the datapath does not know, or did not mean for the proxy, is nobody's: it is denied.
    guard let entry = try? connections.lookup(key), entry.has(MARTLET_CT_PROXY),
      entry.has(MARTLET_CT_ORIGIN_B) == clientIsB
    else { return nil }
    if entry.has(MARTLET_CT_ROUTED) {
      return .routed(
        sourceIdentity: entry.origin_identity, service: entry.service, revision: entry.revision,
        listener: entry.proxy_rules)
    }
    return ConnectionPolicy(
      proxyRules: entry.proxy_rules, egressProxyRules: entry.egress_proxy_rules,
      sourceIdentity: entry.origin_identity, destinationIdentity: entry.reply_identity, service: entry.service,
      revision: entry.revision, isAudit: entry.has(MARTLET_CT_AUDIT), isEgressAudit: entry.has(MARTLET_CT_AUDIT_EGRESS))
  }

  /// The listener to which the datapath led one of the node's own programs; nil for any other address.
  private static func listener(at server: IPAddress) -> UInt32? {
    guard let address = server.v4, address & ~MARTLET_ROUTED_MAX == MARTLET_ROUTED_IPV4 else { return nil }
    return address & MARTLET_ROUTED_MAX
  }

  static func key(
    client: SocketAddress, server: SocketAddress, _ transport: Transport = .tcp
  ) -> (key: martlet_ct_key, clientIsB: Bool) {
    martlet_ct_key.of(
      client: ConnectionEnd(client.address, port: client.port),
      server: ConnectionEnd(server.address, port: server.port),
      ipProtocol: UInt8(transport == .tcp ? IPPROTO_TCP : IPPROTO_UDP))
  }
}
