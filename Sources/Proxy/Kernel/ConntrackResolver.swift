import Addressing
import BPF
import CLinux
import CMartletABI
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
      connections: try .fromPin(pins + "/martlet_conntrack"), configuration: try .fromPin(pins + "/martlet_config"))
  }

  private static func map(_ configuration: RawMap) throws(BPFError) -> UInt {
    let size = sysconf(Int32(_SC_PAGESIZE))
    guard let mapped = mmap(nil, size, PROT_READ, MAP_SHARED, configuration.fileDescriptor, 0), mapped != MAP_FAILED
    else { throw BPFError(call: "mmap", errno: errno, detail: "map \"martlet_config\"") }
    return UInt(bitPattern: mapped)
  }

  public var revision: UInt32 {
    let base = UnsafeRawPointer(bitPattern: page.load(ordering: .acquiring))
    let offset = MemoryLayout<martlet_config>.offset(of: \.policy_revision) ?? 0
    return base.map { clinux_load_acquire_u32($0 + offset) } ?? 0
  }

  public func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
    let (key, clientIsB) = Self.key(client: client, server: server, transport)
    let connections = maps.withLock(\.connections)
    // A connection that the datapath does not know, or did not mean for the proxy, is nobody's: it is denied.
    guard let entry = try? connections.lookup(key), Int(entry.flags) & Int(MARTLET_CT_PROXY.rawValue) != 0,
      (Int(entry.flags) & Int(MARTLET_CT_ORIGIN_B.rawValue) != 0) == clientIsB
    else { return nil }
    return ConnectionPolicy(
      proxyRules: entry.proxy_rules, egressProxyRules: entry.egress_proxy_rules,
      sourceIdentity: entry.origin_identity, destinationIdentity: entry.reply_identity, revision: entry.revision,
      isAudit: Int(entry.flags) & Int(MARTLET_CT_AUDIT.rawValue) != 0,
      isEgressAudit: Int(entry.flags) & Int(MARTLET_CT_AUDIT_EGRESS.rawValue) != 0)
  }

  /// The key of the client's connection, and whether the client is its end b. Ends are ordered as the programs order
  /// them: by the words in memory, which hold network byte order, read as numbers of this machine.
  static func key(
    client: SocketAddress, server: SocketAddress, _ transport: Transport = .tcp
  ) -> (martlet_ct_key, clientIsB: Bool) {
    let from = martlet_addr(hi: client.address.high.bigEndian, lo: client.address.low.bigEndian)
    let to = martlet_addr(hi: server.address.high.bigEndian, lo: server.address.low.bigEndian)
    let ports = (client.port.bigEndian, server.port.bigEndian)
    let clientIsB = (from.hi, from.lo, ports.0) > (to.hi, to.lo, ports.1)
    return (
      martlet_ct_key(
        a: clientIsB ? to : from, b: clientIsB ? from : to, port_a: clientIsB ? ports.1 : ports.0,
        port_b: clientIsB ? ports.0 : ports.1, protocol: UInt8(transport == .tcp ? IPPROTO_TCP : IPPROTO_UDP),
        zone: UInt8(MARTLET_CT_DIRECT.rawValue), pad: 0),
      clientIsB
    )
  }
}
