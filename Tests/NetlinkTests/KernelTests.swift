import Addressing
import CLinux
import Foundation
import Glibc
import Testing

@testable import Netlink

let isRoot = geteuid() == 0

/// Against the running kernel, in namespaces without names that go with the test.
@Suite(.enabled(if: isRoot, "needs root")) struct KernelTests {
  private let namespace: NetworkNamespace
  private let netlink: NetlinkHandle

  init() throws {
    namespace = try NetworkNamespace.create()
    netlink = try NetlinkHandle(in: namespace)
  }

  private func v4(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
  private func cidr(_ text: String) throws -> CIDR { try #require(CIDR(text)) }

  /// A pair within the namespace, up; the index of its first end.
  private func pair() throws -> UInt32 {
    try netlink.createVeth(VethSpecification(name: "nlt0", peerName: "nlt1"))
    for name in ["nlt0", "nlt1"] {
      let interface = try #require(try netlink.interface(named: name))
      try netlink.setInterface(index: interface.index, up: true)
    }
    return try #require(try netlink.interface(named: "nlt0")).index
  }

  @Test func theHandleStaysInItsNamespace() throws {
    #expect(try netlink.interfaces().map(\.name).contains("lo"))
    #expect(try netlink.interfaces().count < 4)
    #expect(try namespace.run { try NetworkNamespace.current().inode } == namespace.inode)
    #expect(try NetworkNamespace.current().inode != namespace.inode)
  }

  @Test func vethIntoAnotherNamespace() throws {
    let pod = try NetworkNamespace.create()
    let inside = try NetlinkHandle(in: pod)
    let mac = try #require(MACAddress("02:00:00:00:00:01"))
    let podMAC = try #require(MACAddress("02:00:00:00:00:02"))
    let specification = VethSpecification(
      name: "nlt0", mac: mac, peerName: "eth0", peerMAC: podMAC, peerNamespace: pod, mtu: 1400)
    try netlink.createVeth(specification)
    let host = try #require(try netlink.interface(named: "nlt0"))
    let peer = try #require(try inside.interface(named: "eth0"))
    #expect(host.kind == "veth" && host.mac == mac && host.mtu == 1400 && !host.isUp)
    #expect(peer.mac == podMAC && peer.mtu == 1400)
    #expect(host.peerIndex == peer.index && host.peerNamespaceID != nil)
    #expect(throws: NetlinkError.self) { try netlink.createVeth(specification) }

    #expect(try netlink.deleteInterface(index: host.index))
    #expect(try !netlink.deleteInterface(index: host.index))
    #expect(try inside.interface(named: "eth0") == nil)
    #expect(try netlink.interface(index: host.index) == nil)
  }

  @Test func interfacesChangeAndMove() throws {
    try netlink.createVeth(VethSpecification(name: "nlt0", peerName: "nlt1"))
    let index = try #require(try netlink.interface(named: "nlt0")).index
    let mac = try #require(MACAddress("02:00:00:00:00:99"))
    try netlink.changeInterface(index: index, name: "nlt9", mac: mac, mtu: 1300, alias: "default/reviews-v1")
    try netlink.setInterface(index: index, up: true)
    let changed = try #require(try netlink.interface(index: index))
    #expect(changed.name == "nlt9" && changed.mac == mac && changed.mtu == 1300)
    #expect(changed.alias == "default/reviews-v1" && changed.isUp)
    try netlink.setInterface(index: index, up: false)
    #expect(try netlink.interface(index: index)?.isUp == false)

    let other = try NetworkNamespace.create()
    try netlink.moveInterface(index: index, to: other, name: "moved0")
    #expect(try netlink.interface(named: "nlt9") == nil)
    #expect(try NetlinkHandle(in: other).interface(named: "moved0")?.mac == mac)
  }

  @Test(arguments: ["192.0.2.7", "2001:db8::7"])
  func addresses(_ text: String) throws {
    let index = try pair()
    let address = InterfaceAddress(
      interfaceIndex: index, address: try v4(text), flags: [.noDAD, .noPrefixRoute])
    try netlink.addAddress(address)
    let error = try #require(throws: NetlinkError.self) { try netlink.addAddress(address) }
    #expect(error.isAlreadyThere)
    try netlink.replaceAddress(address)
    let found = try #require(try netlink.addresses(interfaceIndex: index).first { $0.address == address.address })
    #expect(found.prefixLength == address.prefixLength)
    #expect(found.flags.contains(.noPrefixRoute))
    #expect(!found.flags.contains(.tentative))
    #expect(try netlink.deleteAddress(address))
    #expect(try !netlink.deleteAddress(address))
  }

  @Test(arguments: [
    ("0.0.0.0/0", "169.254.1.1", "192.0.2.7"), ("::/0", "fe80::1", "2001:db8::7"),
    ("198.51.100.0/24", "169.254.1.1", "192.0.2.7"), ("2001:db8:1::/48", "fe80::1", "2001:db8::7"),
  ])
  func routesByAGatewayOnLink(_ destination: String, _ gateway: String, _ own: String) throws {
    let index = try pair()
    try netlink.addAddress(InterfaceAddress(interfaceIndex: index, address: try v4(own), flags: .noDAD))
    let route = Route(
      try cidr(destination), gateway: try v4(gateway), isOnLink: true, interfaceIndex: index,
      preferredSource: try v4(own), mtu: 1400, priority: 50)
    try netlink.addRoute(route)
    #expect(try #require(throws: NetlinkError.self) { try netlink.addRoute(route) }.isAlreadyThere)
    let found = try #require(try netlink.routes(table: .main).first { $0.destination == route.destination })
    #expect(found.gateway == route.gateway && found.interfaceIndex == index && found.mtu == 1400)
    #expect(found.isOnLink && found.priority == 50 && found.preferredSource == route.preferredSource)
    var changed = route
    changed.mtu = 1300
    try netlink.replaceRoute(changed)
    #expect(try netlink.routes(table: .main).filter { $0.destination == route.destination }.map(\.mtu) == [1300])
    #expect(try netlink.deleteRoute(changed))
    #expect(try !netlink.deleteRoute(changed))
  }

  @Test(arguments: ["0.0.0.0/0", "::/0"])
  func localDefaultRouteInATableOfItsOwn(_ destination: String) throws {
    let loopback = try #require(try netlink.interface(named: "lo")).index
    try netlink.setInterface(index: loopback, up: true)
    #expect(try netlink.routes(table: 2005).isEmpty)
    let route = Route(try cidr(destination), type: .local, table: 2005, interfaceIndex: loopback)
    try netlink.replaceRoute(route)
    try netlink.replaceRoute(route)
    let found = try netlink.routes(table: 2005)
    #expect(found.map(\.type) == [.local])
    #expect(found.map(\.destination) == [route.destination])
    #expect(try netlink.deleteRoute(route))
    #expect(try netlink.routes(table: 2005).isEmpty)
  }

  @Test(arguments: ["203.0.113.0/24", "2001:db8:dead::/48"])
  func blackholes(_ destination: String) throws {
    let loopback = try #require(try netlink.interface(named: "lo")).index
    try netlink.setInterface(index: loopback, up: true)
    let route = Route(try cidr(destination), type: .blackhole)
    try netlink.addRoute(route)
    #expect(try netlink.routes(table: .main).contains { $0.type == .blackhole && $0.destination == route.destination })
    #expect(try netlink.deleteRoute(route))
  }

  @Test(arguments: ["169.254.1.1", "fe80::1"])
  func permanentNeighbours(_ text: String) throws {
    let index = try pair()
    let mac = try #require(MACAddress("02:00:00:00:00:42"))
    let neighbour = Neighbour(interfaceIndex: index, address: try v4(text), mac: mac)
    try netlink.replaceNeighbour(neighbour)
    try netlink.replaceNeighbour(neighbour)
    let found = try #require(try netlink.neighbours(interfaceIndex: index).first { $0.address == neighbour.address })
    #expect(found.mac == mac && found.isPermanent)
    #expect(try netlink.deleteNeighbour(neighbour))
  }

  @Test(arguments: RoutingRule.Family.allCases)
  func markedPacketsLookElsewhere(_ family: RoutingRule.Family) throws {
    let rule = RoutingRule(family, table: 2005, priority: 10, mark: 0x200, markMask: 0xf00)
    try netlink.addRule(rule)
    #expect(try #require(throws: NetlinkError.self) { try netlink.addRule(rule) }.isAlreadyThere)
    #expect(try netlink.rules().filter { $0.table == 2005 } == [rule])
    #expect(try netlink.deleteRule(rule))
    #expect(try !netlink.deleteRule(rule))
  }

  @Test func rulesBySource() throws {
    let source = RoutingRule(
      .ipv6, table: 300, priority: 20, source: try cidr("2001:db8::/64"), inputInterface: "lo")
    try netlink.addRule(source)
    #expect(try netlink.rules().filter { $0.table == 300 } == [source])
  }

  @Test func clsact() throws {
    let index = try pair()
    try netlink.addClsact(interfaceIndex: index)
    #expect(try #require(throws: NetlinkError.self) { try netlink.addClsact(interfaceIndex: index) }.isAlreadyThere)
    #expect(try netlink.queueingDisciplines(interfaceIndex: index).map(\.kind).contains("clsact"))
    #expect(try netlink.deleteClsact(interfaceIndex: index))
    #expect(try !netlink.deleteClsact(interfaceIndex: index))
  }

  @Test func theKernelsWordsAreKept() throws {
    let index = try pair()
    let route = Route(try cidr("198.51.100.0/24"), gateway: try v4("192.0.2.1"), interfaceIndex: index)
    let error = try #require(throws: NetlinkError.self) { try netlink.addRoute(route) }
    #expect(error.name == "ENETUNREACH")
    #expect(error.kernelText == "Nexthop has invalid gateway")
    #expect(
      error.description == "RTM_NEWROUTE 198.51.100.0/24 table 254 failed: ENETUNREACH (Nexthop has invalid gateway)")
  }

  @Test func longDumpsComeWhole() throws {
    let index = try pair()
    for number in 0..<1500 {
      let address = IPAddress(v4: 0x0a00_0000).advanced(by: UInt64(number))
      try netlink.addRoute(Route(CIDR(address), interfaceIndex: index))
    }
    #expect(
      try netlink.routes(table: .main).filter { $0.interfaceIndex == index && $0.destination.isIPv4 }.count == 1500)
  }

  @Test func namedNamespaces() throws {
    let name = "kernel-libs-\(getpid())"
    let made = try NetworkNamespace.create(named: name)
    defer { _ = try? NetworkNamespace.delete(named: name) }
    #expect(try NetworkNamespace.names().contains(name))
    #expect(try NetworkNamespace(named: name).inode == made.inode)
    #expect(made.inode != (try NetworkNamespace.current().inode))
    let error = try #require(throws: NetlinkError.self) { try NetworkNamespace.create(named: name) }
    #expect(error.isAlreadyThere)
    #expect(try NetworkNamespace(named: name).inode == made.inode)
    #expect(try NetworkNamespace.delete(named: name))
    #expect(try !NetworkNamespace.delete(named: name))
    #expect(throws: NetlinkError.self) { try NetworkNamespace(named: name) }
  }
}
