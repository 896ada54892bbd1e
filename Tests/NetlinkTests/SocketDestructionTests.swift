import Addressing
import CLinux
import Glibc
import Testing

@testable import Netlink

/// The request that names one socket (struct inet_diag_req_v2).
@Suite struct SocketDestructionTests {
  private func header(_ source: String, _ destination: String, isIPv6Socket: Bool) throws -> inet_diag_req_v2 {
    let socket = ConnectedSocket(
      transport: .udp, isIPv6Socket: isIPv6Socket, source: try #require(IPAddress(source)), sourcePort: 0x1234,
      destination: try #require(IPAddress(destination)), destinationPort: 53, boundInterfaceIndex: 7,
      cookie: 0x0000_0002_0000_0001)
    let request = socket.request
    #expect(request.type == Int(SOCK_DESTROY))
    return try #require(request.payload.bytes[...].load(inet_diag_req_v2.self))
  }

  @Test func socketsOfIPv4AreNamedByFourOctets() throws {
    let header = try header("10.0.0.1", "10.0.0.2", isIPv6Socket: false)
    #expect(header.sdiag_family == UInt8(AF_INET) && header.sdiag_protocol == 17)
    #expect(header.id.idiag_sport == UInt16(0x1234).bigEndian && header.id.idiag_dport == UInt16(53).bigEndian)
    #expect(bytes(of: header.id.idiag_src) == [10, 0, 0, 1] + [UInt8](repeating: 0, count: 12))
    #expect(bytes(of: header.id.idiag_dst).prefix(4) == [10, 0, 0, 2])
    #expect(header.id.idiag_if == 7 && header.id.idiag_cookie == (1, 2))
  }

  @Test func socketsOfIPv6KeepTheMappedForm() throws {
    let header = try header("::ffff:10.0.0.1", "::ffff:10.0.0.2", isIPv6Socket: true)
    #expect(header.sdiag_family == UInt8(AF_INET6))
    #expect(bytes(of: header.id.idiag_dst) == [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 2])
  }
}
