import Addressing
import BPF
import CMartletABI
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Asks the datapath's connection table what it decided when it gave a connection to the proxy.
public final class ConntrackResolver: ConnectionResolver {
  private let connections: BPFMap<martlet_ct_key, martlet_ct_entry>
  private let configuration: BPFMap<UInt32, martlet_config>
  /// The configuration's page when the map can be mapped, which makes its revision a plain load.
  private let page: UInt

  /// - Parameter pins: the folder with the datapath's pinned maps.
  public init(pins: String) throws(BPFError) {
    connections = try .fromPin(pins + "/martlet_conntrack")
    configuration = try .fromPin(pins + "/martlet_config")
    let size = sysconf(Int32(_SC_PAGESIZE))
    let mapped = mmap(nil, size, PROT_READ, MAP_SHARED, configuration.raw.fileDescriptor, 0)
    page = mapped == MAP_FAILED ? 0 : UInt(bitPattern: mapped)
  }

  deinit {
    if page != 0 { munmap(UnsafeMutableRawPointer(bitPattern: page), sysconf(Int32(_SC_PAGESIZE))) }
  }

  public var revision: UInt32 {
    guard let mapped = UnsafePointer<martlet_config>(bitPattern: page) else {
      return (try? configuration.lookup(0))?.policy_revision ?? 0
    }
    return mapped.pointee.policy_revision
  }

  public func resolve(client: SocketAddress, server: SocketAddress, transport: Transport) -> ConnectionPolicy? {
    let (key, clientIsB) = Self.key(client: client, server: server, transport)
    // A connection that the datapath does not know, or did not mean for the proxy, is nobody's: it is denied.
    guard let entry = try? connections.lookup(key), Int(entry.flags) & Int(MARTLET_CT_PROXY.rawValue) != 0,
      (Int(entry.flags) & Int(MARTLET_CT_ORIGIN_B.rawValue) != 0) == clientIsB
    else { return nil }
    return ConnectionPolicy(
      proxyRules: entry.proxy_rules, sourceIdentity: entry.origin_identity, destinationIdentity: entry.reply_identity,
      revision: entry.revision)
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
