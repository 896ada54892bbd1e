import Addressing
import CLinux
import Glibc
import Testing

@testable import Netlink

/// What the kernel is sent, byte for byte, on a little-endian machine. The 16 bytes of nlmsghdr come first: length, type, flags,
/// sequence number, port.
@Suite struct RequestTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let request: @Sendable (NetlinkHandle) throws -> Void
    let bytes: String

    var testDescription: String { name }
  }

  static let gateway = IPAddress("169.254.1.1")!
  static let gateway6 = IPAddress("fe80::1")!
  static let mac = MACAddress("02:00:00:00:00:2a")!

  static let cases: [Case] = [
    Case(
      name: "device up", request: { try $0.setInterface(index: 7, up: true) },
      bytes: """
        20000000 1000 0500 01000000 00000000  RTM_NEWLINK, REQUEST|ACK
        00 00 0000 07000000 01000000 01000000  ifinfomsg: index 7, IFF_UP of IFF_UP
        """),
    Case(
      name: "delete device", request: { try $0.deleteInterface(index: 7) },
      bytes: """
        20000000 1100 0500 01000000 00000000  RTM_DELLINK
        00 00 0000 07000000 00000000 00000000
        """),
    Case(
      name: "veth",
      request: {
        try $0.createVeth(VethSpecification(name: "mlt0", peerName: "eth0", peerMAC: mac, mtu: 1500))
      },
      bytes: """
        7c000000 1000 0506 01000000 00000000  RTM_NEWLINK, REQUEST|ACK|EXCL|CREATE
        00 00 0000 00000000 00000000 00000000
        0900 0300 6d6c743000 000000  IFLA_IFNAME mlt0
        0800 0400 dc050000  IFLA_MTU 1500
        4800 1200  IFLA_LINKINFO
        0900 0100 7665746800 000000  IFLA_INFO_KIND veth
        3800 0200  IFLA_INFO_DATA
        3400 0100  VETH_INFO_PEER
        00 00 0000 00000000 00000000 00000000
        0900 0300 6574683000 000000  IFLA_IFNAME eth0
        0a00 0100 02000000002a 0000  IFLA_ADDRESS
        0800 0400 dc050000  IFLA_MTU 1500
        """),
    Case(
      name: "alias", request: { try $0.changeInterface(index: 7, alias: "ns/pod") },
      bytes: """
        2c000000 1000 0500 01000000 00000000
        00 00 0000 07000000 00000000 00000000
        0a00 1400 6e732f706f64 0000  IFLA_IFALIAS without a NUL
        """),
    Case(
      name: "IPv4 address",
      request: { try $0.addAddress(InterfaceAddress(interfaceIndex: 7, address: IPAddress("10.1.2.3")!)) },
      bytes: """
        28000000 1400 0506 01000000 00000000  RTM_NEWADDR
        02 20 00 00 07000000  ifaddrmsg: AF_INET, /32
        0800 0200 0a010203  IFA_LOCAL
        0800 0100 0a010203  IFA_ADDRESS
        """),
    Case(
      name: "IPv6 address without DAD",
      request: {
        try $0.addAddress(
          InterfaceAddress(
            interfaceIndex: 7, address: IPAddress("fd00::3")!, prefixLength: 64, flags: [.noDAD, .noPrefixRoute]))
      },
      bytes: """
        48000000 1400 0506 01000000 00000000
        0a 40 00 00 07000000  ifaddrmsg: AF_INET6, /64
        1400 0200 fd000000000000000000000000000003  IFA_LOCAL
        1400 0100 fd000000000000000000000000000003  IFA_ADDRESS
        0800 0800 02020000  IFA_FLAGS NODAD|NOPREFIXROUTE
        """),
    Case(
      name: "IPv4 default route by a gateway on the link",
      request: {
        try $0.addRoute(Route(CIDR("0.0.0.0/0")!, gateway: gateway, isOnLink: true, interfaceIndex: 7))
      },
      bytes: """
        34000000 1800 0506 01000000 00000000  RTM_NEWROUTE
        02 00 00 00 fe 04 00 01 04000000  rtmsg: AF_INET, main, static, universe, unicast, ONLINK
        0800 0f00 fe000000  RTA_TABLE
        0800 0500 a9fe0101  RTA_GATEWAY
        0800 0400 07000000  RTA_OIF
        """),
    Case(
      name: "IPv6 default route by a gateway on the link",
      request: {
        try $0.replaceRoute(Route(CIDR("::/0")!, gateway: gateway6, isOnLink: true, interfaceIndex: 7, mtu: 1500))
      },
      bytes: """
        4c000000 1800 0505 01000000 00000000  REQUEST|ACK|REPLACE|CREATE
        0a 00 00 00 fe 04 00 01 04000000
        0800 0f00 fe000000  RTA_TABLE
        1400 0500 fe800000000000000000000000000001  RTA_GATEWAY
        0800 0400 07000000  RTA_OIF
        0c00 0800 0800 0200 dc050000  RTA_METRICS: RTAX_MTU
        """),
    Case(
      name: "local default route in a table of its own",
      request: { try $0.addRoute(Route(CIDR("0.0.0.0/0")!, type: .local, table: 2005, interfaceIndex: 1)) },
      bytes: """
        2c000000 1800 0506 01000000 00000000
        02 00 00 00 00 04 fe 02 00000000  table beyond a byte, scope host, local
        0800 0f00 d5070000  RTA_TABLE 2005
        0800 0400 01000000  RTA_OIF
        """),
    Case(
      name: "route to a pod",
      request: { try $0.addRoute(Route(CIDR("10.1.2.3/32")!, interfaceIndex: 7)) },
      bytes: """
        34000000 1800 0506 01000000 00000000
        02 20 00 00 fe 04 fd 01 00000000  scope link
        0800 0100 0a010203  RTA_DST
        0800 0f00 fe000000
        0800 0400 07000000
        """),
    Case(
      name: "blackhole", request: { try $0.deleteRoute(Route(CIDR("fd00::/48")!, type: .blackhole)) },
      bytes: """
        38000000 1900 0500 01000000 00000000  RTM_DELROUTE
        0a 30 00 00 fe 04 00 06 00000000
        1400 0100 fd000000000000000000000000000000  RTA_DST
        0800 0f00 fe000000
        """),
    Case(
      name: "permanent neighbour",
      request: { try $0.replaceNeighbour(Neighbour(interfaceIndex: 7, address: gateway, mac: mac)) },
      bytes: """
        30000000 1c00 0505 01000000 00000000  RTM_NEWNEIGH
        02 00 0000 07000000 8000 00 00  ndmsg: NUD_PERMANENT
        0800 0100 a9fe0101  NDA_DST
        0a00 0200 02000000002a 0000  NDA_LLADDR
        """),
    Case(
      name: "rule by mark",
      request: { try $0.addRule(RoutingRule(.ipv6, table: 2005, priority: 10, mark: 0x200, markMask: 0xf00)) },
      bytes: """
        3c000000 2000 0506 01000000 00000000  RTM_NEWRULE
        0a 00 00 00 00 00 00 01 00000000  fib_rule_hdr: FR_ACT_TO_TBL
        0800 0600 0a000000  FRA_PRIORITY
        0800 0a00 00020000  FRA_FWMARK
        0800 1000 000f0000  FRA_FWMASK
        0800 0f00 d5070000  FRA_TABLE
        """),
    Case(
      name: "clsact", request: { try $0.addClsact(interfaceIndex: 7) },
      bytes: """
        30000000 2400 0506 01000000 00000000  RTM_NEWQDISC
        00 00 0000 07000000 0000ffff f1ffffff 00000000  tcmsg: handle ffff:, parent TC_H_CLSACT
        0b00 0100 636c7361637400 00  TCA_KIND
        """),
  ]

  @Test(arguments: cases)
  func bytes(_ expected: Case) throws {
    let transport = RecordingTransport()
    try expected.request(NetlinkHandle(transport: transport))
    #expect(transport.sent == [parse(expected.bytes)])
  }
}

/// Hexadecimal digits up to two blanks in each line; the rest explains.
func parse(_ text: String) -> [UInt8] {
  text.split(separator: "\n").flatMap { line -> [UInt8] in
    let end = line.firstRange(of: "  ")?.lowerBound ?? line.endIndex
    let digits = line[..<end].filter { $0 != " " }
    return stride(from: 0, to: digits.count, by: 2).map { offset in
      UInt8(digits.dropFirst(offset).prefix(2), radix: 16)!
    }
  }
}
