import Addressing
import BPF
import CMartletABI
import Glibc
import Netlink
import Testing

/// How packets come in from outside.
struct Way: CustomTestStringConvertible {
  /// Who looks at them first: from_netdev, or from_wire and then from_netdev at what that leaves.
  enum Entrance: String, CaseIterable { case tc, xdp }

  let family: Family
  let entrance: Entrance
  var testDescription: String { "\(family), \(entrance)" }

  static let all = Entrance.allCases.flatMap { entrance in Family.allCases.map { Way(family: $0, entrance: entrance) } }
}

/// A balancer with a device to the outside, in a namespace where routes lead there.
final class Gateway {
  let stage: Balancer
  let node: Node
  let family: Family
  let entrance: Way.Entrance
  let namespace: NetworkNamespace
  let index: UInt32
  /// Of the next hop, whoever the packet is for.
  let nextMAC: [UInt8] = [2, 7, 7, 7, 7, 7]
  /// Of frames for the node.
  let ownMAC: [UInt8]
  /// Packets that never came to from_netdev.
  private(set) var sentOn = 0

  convenience init(_ family: Family, flags: UInt32 = MARTLET_DEVICE_MASQUERADE.rawValue) throws {
    try self.init(Way(family: family, entrance: .tc), flags: flags)
  }

  init(_ way: Way, flags: UInt32 = MARTLET_DEVICE_MASQUERADE.rawValue) throws {
    family = way.family
    entrance = way.entrance
    stage = try Balancer(family)
    node = stage.node
    namespace = try NetworkNamespace.create()
    let netlink = try NetlinkHandle(in: namespace)
    try netlink.createVeth(VethSpecification(name: "outside", peerName: "wire"))
    let device = try #require(try netlink.interface(named: "outside"))
    index = device.index
    ownMAC = try #require(device.mac).bytes
    try netlink.setInterface(index: index, up: true)
    try netlink.setInterface(index: #require(try netlink.interface(named: "wire")).index, up: true)
    try namespace.run {
      for file in ["ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"] {
        let descriptor = open("/proc/sys/net/" + file, O_WRONLY)
        defer { close(descriptor) }
        guard write(descriptor, "1", 1) == 1 else { throw BPFError(call: "write", errno: errno, detail: file) }
      }
    }
    let own = try #require(IPAddress(bytes: address))
    try netlink.addAddress(InterfaceAddress(interfaceIndex: index, address: own, flags: [.noDAD]))
    for place in [stage.world, stage.elsewhere] {
      let host = try #require(IPAddress(bytes: place))
      try netlink.addRoute(Route(#require(CIDR(host, length: family == .ipv4 ? 32 : 128)), interfaceIndex: index))
      try netlink.replaceNeighbour(
        Neighbour(interfaceIndex: index, address: host, mac: #require(MACAddress(bytes: nextMAC))))
    }
    node.outside = (namespace, index)
    try isDevice(index, flags: flags)
    for pod in [node.a, node.b] {
      var endpoint = try #require(try node.endpoints.lookup(node.abi(pod.address(family))))
      endpoint.ifindex = index
      try node.endpoints.update(node.abi(pod.address(family)), endpoint)
    }
    try node.know(address, 128, 1)
  }

  /// Says that a device leads outside, with the node's address on it.
  func isDevice(_ index: UInt32, flags: UInt32) throws {
    var device = martlet_device()
    device.ipv4 = node.abi(family == .ipv4 ? address : v6([], 0))
    device.ipv6 = node.abi(family == .ipv6 ? address : v6([], 0))
    device.flags = flags
    withUnsafeMutableBytes(of: &device.mac) { $0.copyBytes(from: ownMAC) }
    try node.loaded.map("martlet_devices", key: UInt32.self, value: martlet_device.self).update(index, device)
  }

  /// The node's own.
  var address: Address { family == .ipv4 ? v4(192, 0, 2, 1) : v6([0x20, 1, 0xd, 0xb8], 1) }
  var client: Place { Place(address: stage.world, port: 4000) }
  var backend: Place { Place(address: stage.elsewhere, port: 8080) }
  var local: Place { Place(address: node.b.address(family), port: 8080) }
  let nodePort: UInt16 = 30080
  var nodePlace: Place { Place(address: address, port: nodePort) }

  /// A NodePort, for clients from everywhere.
  func nodePort(_ proto: UInt8, to places: [Place], flags: UInt32 = 0, listener: UInt32 = 0) throws {
    try stage.service(Balancer.number, proto, places, flags: flags, listener: listener)
    let any = Place(address: family == .ipv4 ? v4(0, 0, 0, 0) : v6([], 0), port: nodePort)
    try stage.frontend(any, proto, external: Balancer.number)
  }

  func frame(
    _ source: Place, _ destination: Place, _ carrier: Carrier, _ flags: UInt8 = TCPFlag.ack, hopLimit: UInt8 = 64
  ) -> Frame {
    let frame = Frame(
      family: family, sourceMAC: [2, 9, 9, 9, 9, 1], destinationMAC: ownMAC, source: source.address,
      destination: destination.address, hopLimit: hopLimit, proto: carrier.proto,
      payload: carrier.payload(source.port, destination.port, flags))
    return carrier.seal(frame)
  }

  /// What becomes of a packet, whoever it was that saw to it: the MACs that XDP gives it are looked at and taken back.
  func enters(_ frame: Frame) throws -> Outcome {
    guard entrance == .xdp else { return try node.run("from_netdev", frame.bytes) }
    let first = try node.runOnWire(frame.bytes)
    if first.code == XDPAction.pass {
      #expect(first.bytes == frame.bytes, "what is passed on is as it came")
      let rest = try node.run("from_netdev", frame.bytes)
      return Outcome(
        code: rest.code, bytes: rest.bytes, control: rest.control, mark: rest.mark, events: first.events + rest.events)
    }
    #expect(first.code == XDPAction.tx && Array(first.bytes.prefix(12)) == nextMAC + ownMAC)
    sentOn += 1
    return Outcome(
      code: redirected, bytes: Array(frame.bytes.prefix(12) + first.bytes.dropFirst(12)), control: [],
      mark: UInt32(MARTLET_MARK_TRANSLATED), events: first.events)
  }
  func departs(_ frame: Frame, mark: UInt32 = 0) throws -> Outcome { try node.run("to_netdev", frame.bytes, mark) }

  /// The source port with which `make` gives these bytes.
  func port(_ outcome: Outcome, _ make: (UInt16) -> Frame) -> UInt16? {
    (node.settings.nat_port_first...node.settings.nat_port_last).first { make($0).bytes == outcome.bytes }
  }
}
