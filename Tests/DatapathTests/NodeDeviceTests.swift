import Addressing
import BPF
import CMartletABI
import Glibc
import Netlink
import Testing

@testable import Datapath

@Suite struct NodeDeviceTests {
  private func address(
    _ text: String, _ flags: AddressFlags = .permanent, scope: RouteScope = .universe, index: UInt32 = 7
  ) throws -> InterfaceAddress {
    InterfaceAddress(
      interfaceIndex: index, address: try #require(IPAddress(text)), prefixLength: 24, flags: flags, scope: scope)
  }

  private func choice(_ addresses: [InterfaceAddress], _ previous: NodeDevice? = nil) -> [String] {
    NodeDevice(index: 7, addresses: addresses, previous: previous, masquerades: true).addresses.map(\.description)
  }

  /// In the kernel's order: the oldest IPv4 address and the newest IPv6 address first.
  @Test func theOldestUsableAddressIsTheNodes() throws {
    let other = try address("198.51.100.1", index: 8)
    let all = try [
      other, address("169.254.0.1", scope: .link), address("192.0.2.1"),
      address("192.0.2.9", [.permanent, .secondary]),
      address("192.0.3.1"), address("2001:db8::9"), address("2001:db8::5", [.permanent, .tentative]),
      address("2001:db8::4", [.deprecated]), address("2001:db8::1"), address("2001:db8::a", []),
      address("fe80::1", scope: .link),
    ]
    #expect(choice(all) == ["192.0.2.1", "2001:db8::1"])
    #expect(choice([other]) == [])
    let temporary = try address("2001:db8::b", [])
    #expect(choice([temporary]) == ["2001:db8::b"])
  }

  @Test func anAddressThatIsInUseStaysForAsLongAsItIsThere() throws {
    var previous = NodeDevice(index: 7, masquerades: true)
    previous.ipv4 = IPAddress("192.0.3.1")
    let all = try [address("192.0.2.1"), address("192.0.3.1")]
    #expect(choice(all, previous) == ["192.0.3.1"])
    #expect(choice([all[0]], previous) == ["192.0.2.1"])
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func theMapHasTheDevicesThatThereAre() throws {
    let table = DeviceTable(map: try .create(.hash, name: "dev_test", maxEntries: 8, flags: .noPreallocation))
    var first = NodeDevice(index: 3, ipv4: IPAddress("192.0.2.1"), ipv6: IPAddress("2001:db8::1"), masquerades: true)
    first.xdp = .generic
    first.mac = MACAddress(bytes: [2, 0, 0, 0, 0, 1])
    let second = NodeDevice(index: 4, xdp: .native)
    try table.reconcile([second, first])
    #expect(try table.devices() == [first, second])
    first.ipv6 = nil
    first.masquerades = false
    first.xdp = nil
    try table.reconcile([first])
    #expect(try table.devices() == [first])
  }

  @Test(.enabled(if: geteuid() == 0, "needs root")) func theWidestBlocksComeFirst() throws {
    let blocks = NativeBlocks(map: try .create(.lpmTrie, name: "nat_test", maxEntries: 2, flags: .noPreallocation))
    let wide = try #require(CIDR("10.0.0.0/8"))
    let pods = try #require(CIDR("fd00:10:244::/64"))
    let narrow = try #require(CIDR("192.0.2.1/32"))
    try blocks.reconcile([wide, pods])
    #expect(try blocks.blocks() == [pods, wide].sorted())
    try blocks.reconcile([wide])
    #expect(throws: BPFError.self) { try blocks.reconcile([narrow, wide, pods]) }
    #expect(try blocks.blocks().contains(wide))
  }

  @Test(
    arguments: [
      (10000...29999, 30000...32767, 32768...60999, nil),
      (10000...29999, nil, nil, nil),
      (40000...40099, 30000...32767, 32768...60999, "the node itself connects from, 32768-60999"),
      (20000...30000, 30000...32767, 32768...60999, "the ports of Services, 30000-32767"),
      (61000...65535, 30000...32767, 1024...65535, "net.ipv4.ip_local_port_range"),
    ] as [(ClosedRange<UInt16>, ClosedRange<UInt16>?, ClosedRange<UInt16>?, String?)])
  func portsThatAreNotFree(
    _ ports: ClosedRange<UInt16>, _ nodePorts: ClosedRange<UInt16>?, _ ephemeral: ClosedRange<UInt16>?,
    _ expected: String?
  ) {
    let problem = NATPorts.problem(ports, nodePorts: nodePorts, ephemeral: ephemeral)
    #expect((problem == nil) == (expected == nil), "\(problem ?? "")")
    if let expected { #expect(problem?.contains(expected) == true, "\(problem ?? "")") }
  }

  @Test func theKernelsRangeIsRead() {
    #expect(NATPorts.range("32768\t60999\n") == 32768...60999)
    #expect(NATPorts.range("60999 32768") == nil && NATPorts.range("1") == nil)
    #expect(NATPorts.ephemeral() != nil)
  }
}
