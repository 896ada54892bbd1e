import BPF
import CMartletABI
import Glibc
import Testing

/// A packet for which the stack looks for a listener: TCP from pod a, port 4000, to pod b, port 80, unless it says otherwise.
struct LookupCase: CustomTestStringConvertible {
  var testDescription: String
  /// The rules that the connection was judged by.
  var ingress = [Node.Rule(.ingress, .proxy, 3, http: 9)]
  var isReply = false
  var clientPort: UInt16 = 4000
  var proto = Proto.tcp
  var isFound = false

  static let all: [LookupCase] = [
    .init(testDescription: "a connection that was handed to the proxy", isFound: true),
    .init(testDescription: "a connection that was allowed", ingress: [.init(.ingress, .allow, 3)]),
    .init(testDescription: "a connection that was denied", ingress: []),
    .init(testDescription: "the other direction", isReply: true),
    .init(testDescription: "a connection that nobody has judged", clientPort: 4001),
    .init(testDescription: "a datagram", proto: Proto.udp),
  ]
}

@Suite(.enabled(if: isRoot, "needs root")) struct ProxyLookupTests {
  @Test(arguments: LookupCase.all, Family.allCases) func theStackFindsTheListener(_ given: LookupCase, _ family: Family)
    throws
  {
    let node = try Node()
    try node.rules(Peer.b, given.ingress)
    _ = try node.leaves(node.frame(family, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    let listener = Listener(family)
    let map = try SocketMap(node.loaded.map("martlet_listeners"))
    let place = family == .ipv4 ? MARTLET_LISTENER_IPV4 : MARTLET_LISTENER_IPV6
    try map.update(UInt32(place.rawValue), socket: listener.descriptor)

    let client = (address: node.a.address(family), port: given.clientPort)
    let server = (address: node.b.address(family), port: UInt16(80))
    let (remote, local) = given.isReply ? (server, client) : (client, server)
    let context = lookup(family, given.proto, remote, local)
    let result = try node.proxy.program("proxy_lookup").testRun(data: [], context: context)
    #expect(result.returnValue == 1, "the packet passes in any case")
    let cookie = result.context.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    #expect(cookie == (given.isFound ? listener.cookie : 0))
  }

  /// Before a proxy has started.
  @Test func nobodyListens() throws {
    let node = try Node()
    try node.rules(Peer.b, [.init(.ingress, .proxy, 3, http: 9)])
    _ = try node.leaves(node.frame(.ipv4, from: node.a, to: node.b, Proto.tcp, tcp(4000, 80, TCPFlag.syn)))
    let context = lookup(
      .ipv4, Proto.tcp, (node.a.address(.ipv4), 4000), (node.b.address(.ipv4), 80))
    let result = try node.proxy.program("proxy_lookup").testRun(data: [], context: context)
    #expect(result.returnValue == 1 && result.context.prefix(8).allSatisfy { $0 == 0 })
  }

  private typealias End = (address: Address, port: UInt16)

  /// struct bpf_sk_lookup of linux/bpf.h; a test run takes no `ingress_ifindex`.
  private func lookup(
    _ family: Family, _ proto: UInt8, _ remote: End, _ local: End
  ) -> [UInt8] {
    func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
    func addresses(_ address: Address) -> [UInt8] {
      family == .ipv4 ? address.suffix(4) + [UInt8](repeating: 0, count: 16) : word(0) + address
    }
    let kind = UInt32(family == .ipv4 ? AF_INET : AF_INET6)
    return [UInt8](repeating: 0, count: 8) + word(kind) + word(UInt32(proto)) + addresses(remote.address)
      + be16(remote.port) + [0, 0] + addresses(local.address) + word(UInt32(local.port)) + word(0)
      + word(0)
  }
}

/// A socket that listens on loopback.
private final class Listener {
  let descriptor: Int32

  init(_ family: Family) {
    descriptor = socket(family == .ipv4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    listen(descriptor, 1)
  }

  deinit { close(descriptor) }

  /// SO_COOKIE of asm-generic/socket.h.
  var cookie: UInt64 {
    let option: Int32 = 57
    var cookie: UInt64 = 0
    var length = socklen_t(MemoryLayout<UInt64>.size)
    getsockopt(descriptor, SOL_SOCKET, option, &cookie, &length)
    return cookie
  }
}
