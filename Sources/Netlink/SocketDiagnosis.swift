import Addressing
import CLinux
import Glibc

/// A connected socket as sock_diag(7) tells it.
public struct DiagnosedSocket: Sendable, Hashable {
  public enum Transport: UInt8, Sendable, Hashable, CaseIterable {
    case tcp = 6
    case udp = 17
  }

  public let transport: Transport
  public let source: IPAddress
  public let sourcePort: UInt16
  /// The other end.
  public let destination: IPAddress
  public let destinationPort: UInt16
  /// SO_COOKIE.
  public let cookie: UInt64
  /// What a BPF socket storage holds for it; nil without one, and where none was asked for.
  public let storage: [UInt8]?
  /// AF_INET or AF_INET6, and the kernel's whole word for the socket, by which it finds it again.
  let family: UInt8
  let id: inet_diag_sockid

  public static func == (x: DiagnosedSocket, y: DiagnosedSocket) -> Bool { x.cookie == y.cookie }
  public func hash(into hasher: inout Hasher) { hasher.combine(cookie) }
}

/// Finds and ends sockets of one network namespace (sock_diag(7), linux/inet_diag.h).
public struct SocketDiagnosis: Sendable {
  private let handle: NetlinkHandle

  /// On the calling thread's namespace.
  public init() throws(NetlinkError) {
    handle = NetlinkHandle(transport: try NetlinkSocket(family: NETLINK_SOCK_DIAG))
  }

  /// On another namespace; the calling thread stays where it is.
  public init(in namespace: NetworkNamespace) throws {
    handle = NetlinkHandle(transport: try namespace.run { try NetlinkSocket(family: NETLINK_SOCK_DIAG) })
  }

  /// The connected sockets of both families. A socket that appears or goes meanwhile may be missed.
  ///
  /// - Parameter storage: a descriptor of a BPF map of socket storages, whose values are to be told too. Needs CAP_SYS_ADMIN.
  public func connected(_ transport: DiagnosedSocket.Transport, storage: Int32? = nil) throws(NetlinkError)
    -> [DiagnosedSocket]
  {
    var found: [DiagnosedSocket] = []
    for family in [AF_INET, AF_INET6] {
      var header = inet_diag_req_v2()
      header.sdiag_family = UInt8(family)
      header.sdiag_protocol = transport.rawValue
      header.idiag_states = SocketDiagnosis.states(transport)
      var request = NetlinkRequest(
        "SOCK_DIAG_BY_FAMILY", Int(SOCK_DIAG_BY_FAMILY), flags: NLM_F_DUMP, header: header)
      if let storage {
        var map = AttributeWriter()
        map.add(SK_DIAG_BPF_STORAGE_REQ_MAP_FD, number: UInt32(storage))
        request.payload.add(INET_DIAG_REQ_SK_BPF_STORAGES, nested: map)
      }
      found += try handle.dump(request).compactMap { DiagnosedSocket($0, transport) }
    }
    return found
  }

  /// Ends a socket (Linux 4.5, CONFIG_INET_DIAG_DESTROY): its program gets ECONNABORTED, the other end of a
  /// TCP connection a reset. False when it is gone; EOPNOTSUPP where the kernel can not.
  @discardableResult
  public func destroy(_ socket: DiagnosedSocket) throws(NetlinkError) -> Bool {
    var header = inet_diag_req_v2()
    header.sdiag_family = socket.family
    header.sdiag_protocol = socket.transport.rawValue
    header.id = socket.id
    return try handle.remove(NetlinkRequest("SOCK_DESTROY", Int(SOCK_DESTROY), header: header))
  }

  /// Bits by state (net/tcp_states.h): whatever has another end and a program.
  private static func states(_ transport: DiagnosedSocket.Transport) -> UInt32 {
    switch transport {
    // ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING.
    case .tcp: [1, 2, 3, 4, 5, 8, 9, 11].reduce(0) { $0 | 1 << $1 }
    case .udp: 1 << 1
    }
  }
}

extension DiagnosedSocket {
  init?(_ message: NetlinkMessage, _ transport: Transport) {
    guard message.type == Int(SOCK_DIAG_BY_FAMILY), let header = message.header(inet_diag_msg.self) else { return nil }
    let width = header.idiag_family == UInt8(AF_INET) ? 4 : 16
    guard let source = IPAddress(bytes: bytes(of: header.id.idiag_src).prefix(width)),
      let destination = IPAddress(bytes: bytes(of: header.id.idiag_dst).prefix(width))
    else { return nil }
    self.transport = transport
    self.source = source
    self.destination = destination
    sourcePort = UInt16(bigEndian: header.id.idiag_sport)
    destinationPort = UInt16(bigEndian: header.id.idiag_dport)
    cookie = UInt64(header.id.idiag_cookie.0) | UInt64(header.id.idiag_cookie.1) << 32
    family = header.idiag_family
    id = header.id
    storage = Attributes(of: message, after: inet_diag_msg.self)
      .nested(INET_DIAG_SK_BPF_STORAGES)?
      .nested(SK_DIAG_BPF_STORAGE)?[SK_DIAG_BPF_STORAGE_MAP_VALUE].map { Array($0) }
  }
}
