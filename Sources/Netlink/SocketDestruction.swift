import Addressing
import CLinux
import Glibc

/// A connected TCP or UDP socket, by what the kernel finds it again with (struct inet_diag_sockid).
public struct ConnectedSocket: Sendable, Hashable {
  public enum Transport: UInt8, Sendable, Hashable, CaseIterable {
    case tcp = 6
    case udp = 17
  }

  public var transport: Transport
  /// Of the socket: its addresses may be IPv4 all the same.
  public var isIPv6Socket: Bool
  public var source: IPAddress
  public var sourcePort: UInt16
  /// The other end.
  public var destination: IPAddress
  public var destinationPort: UInt16
  /// SO_BINDTODEVICE; 0: none.
  public var boundInterfaceIndex: UInt32
  /// SO_COOKIE.
  public var cookie: UInt64

  public init(
    transport: Transport, isIPv6Socket: Bool, source: IPAddress, sourcePort: UInt16, destination: IPAddress,
    destinationPort: UInt16, boundInterfaceIndex: UInt32 = 0, cookie: UInt64
  ) {
    self.transport = transport
    self.isIPv6Socket = isIPv6Socket
    self.source = source
    self.sourcePort = sourcePort
    self.destination = destination
    self.destinationPort = destinationPort
    self.boundInterfaceIndex = boundInterfaceIndex
    self.cookie = cookie
  }

  var request: NetlinkRequest {
    var header = inet_diag_req_v2()
    header.sdiag_family = UInt8(isIPv6Socket ? AF_INET6 : AF_INET)
    header.sdiag_protocol = transport.rawValue
    header.id.idiag_sport = sourcePort.bigEndian
    header.id.idiag_dport = destinationPort.bigEndian
    header.id.idiag_if = boundInterfaceIndex
    header.id.idiag_cookie = (UInt32(truncatingIfNeeded: cookie), UInt32(truncatingIfNeeded: cookie >> 32))
    withUnsafeMutableBytes(of: &header.id.idiag_src) {
      $0.copyBytes(from: isIPv6Socket ? source.bytes : source.familyBytes)
    }
    withUnsafeMutableBytes(of: &header.id.idiag_dst) {
      $0.copyBytes(from: isIPv6Socket ? destination.bytes : destination.familyBytes)
    }
    return NetlinkRequest("SOCK_DESTROY", Int(SOCK_DESTROY), header: header)
  }
}

/// Ends sockets of one network namespace (sock_diag(7); Linux 4.5 with CONFIG_INET_DIAG_DESTROY).
public struct SocketDestruction: Sendable {
  private let handle: NetlinkHandle

  /// On a namespace; the calling thread stays where it is.
  public init(in namespace: NetworkNamespace) throws {
    handle = NetlinkHandle(transport: try namespace.run { try NetlinkSocket(family: NETLINK_SOCK_DIAG) })
  }

  init(transport: any NetlinkTransport) { handle = NetlinkHandle(transport: transport) }

  /// Ends a socket: its program gets ECONNABORTED, the other end of a TCP connection a reset. False when it is gone;
  /// EOPNOTSUPP where the kernel can not.
  @discardableResult
  public func destroy(_ socket: ConnectedSocket) throws(NetlinkError) -> Bool {
    try handle.remove(socket.request)
  }
}
