import Addressing
import CNI
import Glibc
import Netlink
import Testing

/// On the real kernel: a namespace that plays the node, and one for the pod. Needs root.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root for network namespaces")) struct PodInterfaceTests {
  struct Lab {
    let name = "workloads-\(getpid())-\(UInt16.random(in: 0...UInt16.max))"
    let node: NetworkNamespace
    let pod: NetworkNamespace
    let host: NetlinkHandle
    let attachment: PodAttachment

    init() throws {
      node = try NetworkNamespace.create(named: name + "n")
      pod = try NetworkNamespace.create(named: name + "p")
      host = try NetlinkHandle(in: node)
      try host.setInterface(index: 1, up: true)
      let invocation = try CNIInvocation(environment: [
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0", "CNI_NETNS": "/run/netns/\(name)p",
        "CNI_ARGS": "K8S_POD_NAME=web;K8S_POD_NAMESPACE=default",
      ])
      attachment = PodAttachment(
        invocation, addresses: [IPAddress("10.7.0.2")!, IPAddress("fd07::2")!], mtu: 1400, createdAt: 1)
    }

    var interface: PodInterface { PodInterface(attachment, host: host) }

    func add() throws -> UInt32 {
      let interface = interface
      return try node.run { try interface.add() }
    }

    func destroy() {
      _ = try? NetworkNamespace.delete(named: name + "p")
      _ = try? NetworkNamespace.delete(named: name + "n")
    }
  }

  @Test func bothFamiliesCarryTraffic() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    let index = try lab.add()
    try lab.interface.check()
    let device = try #require(try lab.host.interface(index: index))
    #expect(device.name == PodInterface.hostName(for: lab.attachment.key))
    #expect(device.mac == lab.attachment.hostMAC)
    #expect(device.mtu == 1400)
    #expect(try #require(try lab.host.interface(named: "lo")).isUp)

    let pod = try NetlinkHandle(in: lab.pod)
    let eth0 = try #require(try pod.interface(named: "eth0"))
    #expect(eth0.mac == lab.attachment.podMAC && eth0.mtu == 1400 && eth0.isRunning)
    #expect(try #require(try pod.interface(named: "lo")).isUp)
    let addresses = try pod.addresses(interfaceIndex: eth0.index)
    #expect(addresses.contains { $0.address == IPAddress("10.7.0.2") && $0.prefixLength == 32 })
    #expect(
      addresses.contains {
        $0.address == IPAddress("fd07::2") && $0.prefixLength == 128 && !$0.flags.contains(.tentative)
      })
    let routes = try pod.routes(table: .main)
    #expect(routes.contains { $0.destination == CIDR("0.0.0.0/0") && $0.gateway == PodGateway.v4 })
    #expect(routes.contains { $0.destination == CIDR("::/0") && $0.gateway == PodGateway.v6 })
    #expect(try pod.neighbours(interfaceIndex: eth0.index).filter(\.isPermanent).count == 2)

    // The node needs addresses of its own to speak with.
    for address in ["10.7.0.1", "fd07::1"] {
      try lab.host.replaceAddress(InterfaceAddress(interfaceIndex: 1, address: IPAddress(address)!, flags: [.noDAD]))
    }
    for address in lab.attachment.addresses {
      let listener = try lab.pod.run { try TCPListener(address) }
      try lab.node.run { try TCPListener.connect(address, port: listener.port) }
    }
  }

  @Test func attachedBeforeItIsUp() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    let interface = lab.interface
    for isNew in [true, false] {
      try lab.node.run {
        _ = try interface.add { index in
          let device = try #require(try NetlinkHandle().interface(index: index))
          #expect(device.name == interface.attachment.hostInterface && device.isUp != isNew)
        }
      }
    }
  }

  @Test func nothingIsLeftWhenItCanNotBeAttached() throws {
    struct Refused: Error {}
    let lab = try Lab()
    defer { lab.destroy() }
    let interface = lab.interface
    #expect(throws: PodInterfaceError.self) { try lab.node.run { try interface.add { _ in throw Refused() } } }
    #expect(try lab.host.interface(named: lab.attachment.hostInterface) == nil)
    #expect(try NetlinkHandle(in: lab.pod).interface(named: "eth0") == nil)
  }

  @Test func repeatedAddsKeepTheDevice() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    let first = try lab.add()
    #expect(try lab.add() == first)
    try lab.interface.check()
    // What a stranger took away comes back.
    try lab.host.deleteRoute(Route(CIDR("10.7.0.2/32")!, interfaceIndex: first, scope: .link))
    #expect(throws: PodInterfaceError.self) { try lab.interface.check() }
    #expect(try lab.add() == first)
    try lab.interface.check()
  }

  /// What CHECK finds missing in the container is named.
  @Test func checkLooksIntoTheContainer() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    _ = try lab.add()
    let result = lab.attachment.result
    try lab.interface.check(expecting: result)
    let pod = try NetlinkHandle(in: lab.pod)
    let index = try #require(try pod.interface(named: "eth0")).index
    func complaint(_ expected: AttachmentResult? = nil) -> String {
      do throws(PodInterfaceError) {
        try lab.interface.check(expecting: expected ?? result)
        return ""
      } catch {
        return error.description
      }
    }
    try pod.deleteRoute(
      Route(PodGateway.anyV4, gateway: PodGateway.v4, isOnLink: true, interfaceIndex: index))
    #expect(complaint() == "the pod has no route to 0.0.0.0/0 via 169.254.1.1 through eth0")
    _ = try lab.add()
    #expect(complaint() == "")
    var other = result
    other.addresses[0].address = try #require(IPAddress("10.7.0.77"))
    #expect(complaint(other) == "eth0 lacks address 10.7.0.77/32 of prevResult")
    try pod.setInterface(index: index, up: false)
    #expect(complaint() == "eth0 is down in the pod")
  }

  @Test func aFileThatIsNoNamespace() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    var attachment = lab.attachment
    attachment.netns = "/proc/self/status"
    let interface = PodInterface(attachment, host: lab.host)
    let error = #expect(throws: PodInterfaceError.self) { try interface.add() }
    #expect(error == .noNamespace("/proc/self/status"))
    #expect(throws: PodInterfaceError.noNamespace("/proc/self/status")) { try interface.check() }
  }

  @Test func removal() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    _ = try lab.add()
    #expect(try PodInterface.remove(lab.attachment.hostInterface, host: lab.host))
    #expect(try !PodInterface.remove(lab.attachment.hostInterface, host: lab.host))
    #expect(try NetlinkHandle(in: lab.pod).interface(named: "eth0") == nil)
    #expect(try lab.host.routes(table: .main).filter { $0.destination == CIDR("10.7.0.2/32") }.isEmpty)
    #expect(throws: PodInterfaceError.missing(lab.attachment.hostInterface)) { try lab.interface.check() }
    // From the beginning again.
    _ = try lab.add()
    try lab.interface.check()
  }

  @Test func aForeignPairOfTheNameIsReplaced() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    try lab.host.createVeth(VethSpecification(name: lab.attachment.hostInterface, peerName: "other"))
    _ = try lab.add()
    try lab.interface.check()
    #expect(try lab.host.interface(named: "other") == nil)
  }

  @Test func aNamespaceThatIsGone() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    try NetworkNamespace.delete(named: lab.name + "p")
    let error = #expect(throws: PodInterfaceError.self) { try lab.interface.add() }
    #expect(error?.cniError.code == .unknownContainer)
    #expect(try lab.host.interface(named: lab.attachment.hostInterface) == nil)
  }

  @Test func addIsFast() throws {
    let lab = try Lab()
    defer { lab.destroy() }
    var times: [Duration] = []
    for _ in 0..<20 {
      let interface = lab.interface
      times.append(try lab.node.run { try ContinuousClock().measure { _ = try interface.add() } })
      try PodInterface.remove(lab.attachment.hostInterface, host: lab.host)
    }
    let median = times.sorted()[10]
    print("PodInterface.add: median \(median), max \(times.max()!)")
    #expect(median < .milliseconds(50))
  }

  @Test func namesOfDevices() {
    let names = (0..<1000).map { PodInterface.hostName(for: .init(containerID: "c\($0)", interfaceName: "eth0")) }
    #expect(Set(names).count == 1000)
    #expect(names.allSatisfy { $0.count == 11 && $0.hasPrefix("mlt") })
  }
}
