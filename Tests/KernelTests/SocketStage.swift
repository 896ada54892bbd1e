import Addressing
import BPF
import CMartletABI
import CMartletBPF
import Glibc
import Netlink
import Testing

/// The three ways in which a program names a service.
enum ClientForm: String, CaseIterable, CustomTestStringConvertible {
  case ipv4, ipv6
  /// A socket of IPv6 and an address of IPv4.
  case mapped
  var testDescription: String { rawValue }
  var socketFamily: Int32 { self == .ipv4 ? AF_INET : AF_INET6 }
  var family: Family { self == .ipv6 ? .ipv6 : .ipv4 }
}

/// The programs at the socket with maps of their own, and a namespace with a few servers' addresses on its loopback device.
final class SocketStage {
  static func specification() throws -> ObjectSpecification {
    let object = UnsafeRawBufferPointer(start: martlet_socket_object(), count: martlet_socket_object_size())
    return try ObjectSpecification(bytes: Array(object), name: "socket")
  }

  /// A service of the tests, by family, and where one of its servers listens.
  static func vip(_ family: Family, _ number: UInt8 = 10, port: UInt16 = 80) -> Endpoint {
    Endpoint(address: family == .ipv4 ? v4(10, 96, 0, number) : v6([0xfd, 0, 0, 0x96], number), port: port)
  }
  static func server(_ family: Family, _ number: UInt8, port: UInt16 = 8080) -> Endpoint {
    Endpoint(address: family == .ipv4 ? v4(127, 0, 9, number) : v6([0xfd, 0, 0, 9], number), port: port)
  }
  static func unspecified(_ family: Family) -> Address { family == .ipv4 ? v4(0, 0, 0, 0) : v6([], 0) }
  static func loopback(_ family: Family) -> Address { family == .ipv4 ? v4(127, 0, 0, 1) : v6([], 1) }

  let loaded: LoadedObject
  let namespace: NetworkNamespace
  let cgroup: TestCgroup
  private(set) var links: [Link] = []
  let services: BPFMap<UInt32, martlet_service>
  let backends: BPFMap<UInt32, martlet_backend>
  var config = martlet_config() {
    didSet { try? loaded.map("martlet_config").update(bytes(UInt32(0)), bytes(config)) }
  }

  /// Attached as for pods' processes and as for the node's.
  enum Side: String {
    case pods = "sock"
    case node
  }

  /// Attached at `cgroup`, or at one of its own.
  init(cgroup: TestCgroup? = nil, as sides: [Side] = [.pods]) throws {
    var specification = try SocketStage.specification()
    let programs = specification.programs.map(\.name)
    try specification.selectPrograms(Set(programs.filter { name in sides.contains { name.hasPrefix($0.rawValue) } }))
    for map in ["martlet_affinity", "martlet_socket_peers", "martlet_fragments"] {
      specification[map]?.maxEntries = 1024
    }
    loaded = try specification.load()
    namespace = try NetworkNamespace.create()
    self.cgroup = try cgroup ?? TestCgroup()
    services = try loaded.map("martlet_services")
    backends = try loaded.map("martlet_backends")
    config.ct_any_stream = 180
    config.node_port_first = 30000
    config.node_port_last = 32767
    config.node_netns_cookie = try namespace.cookie()
    try loaded.map("martlet_config").update(bytes(UInt32(0)), bytes(config))
    let netlink = try NetlinkHandle(in: namespace)
    try netlink.setInterface(index: 1, up: true)
    for number in UInt8(1)...4 {
      let address = try #require(IPAddress(bytes: SocketStage.server(.ipv6, number).address))
      try netlink.addAddress(InterfaceAddress(interfaceIndex: 1, address: address, flags: [.noDAD, .noPrefixRoute]))
    }
    // The kernel makes the route to an address of IPv6 a little later than the address.
    for number in UInt8(1)...4 {
      let probe = try TestSocket(AF_INET6, SOCK_DGRAM, in: namespace)
      for _ in 0..<200 where probe.connect(SocketStage.server(.ipv6, number)) != 0 { usleep(5000) }
    }
    for program in specification.programs where program.isSelected {
      links.append(
        try Link.cgroup(loaded.program(program.name), path: self.cgroup.path, type: program.attachType))
    }
  }

  deinit { for link in links { try? link.detach() } }

  private func bytes<T: BitwiseCopyable>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

  func abi(_ address: Address) -> martlet_addr {
    address.withUnsafeBytes { $0.loadUnaligned(as: martlet_addr.self) }
  }

  func frontend(_ endpoint: Endpoint, _ proto: UInt8, service: UInt32) throws {
    var key = martlet_frontend_key()
    key.address = abi(endpoint.address)
    key.port = endpoint.port.bigEndian
    key.protocol = proto
    var entry = martlet_frontend()
    entry.service = service
    try loaded.map("martlet_frontends").update(bytes(key), bytes(entry))
  }

  /// Backends have the numbers service * 100 + 1, and so on.
  func service(
    _ number: UInt32, _ proto: UInt8, _ servers: [Endpoint], affinity: UInt32 = 0, flags: UInt32 = 0,
    listener: UInt32 = 0
  ) throws {
    for (index, server) in servers.enumerated() {
      var backend = martlet_backend()
      backend.address = abi(server.address)
      backend.port = server.port.bigEndian
      backend.protocol = proto
      try backends.update(number * 100 + 1 + UInt32(index), backend)
      let key = martlet_slot_key(table: number, slot: UInt32(index))
      try loaded.map("martlet_service_slots").update(bytes(key), bytes(number * 100 + 1 + UInt32(index)))
    }
    let entry = martlet_service(
      table: number, count: UInt32(servers.count), affinity: affinity, flags: flags, listener: listener, pad: 0)
    try services.update(number, entry)
  }

  /// One service with `count` servers, that answers at ``vip(_:_:port:)`` of its number.
  func balance(_ family: Family, _ proto: UInt8, number: UInt8 = 10, servers: [UInt8], affinity: UInt32 = 0) throws {
    try service(UInt32(number), proto, servers.map { SocketStage.server(family, $0) }, affinity: affinity)
    try frontend(SocketStage.vip(family, number), proto, service: UInt32(number))
  }

  func know(_ address: Address, _ identity: UInt32) throws {
    var key = martlet_ipcache_key()
    key.prefix_length = 128
    withUnsafeMutableBytes(of: &key.address) { $0.copyBytes(from: address) }
    var entry = martlet_ipcache_entry()
    entry.identity = identity
    try loaded.map("martlet_ipcache").update(bytes(key), bytes(entry))
  }

  func client(_ form: ClientForm, _ type: __socket_type, in other: NetworkNamespace? = nil) throws -> TestSocket {
    try TestSocket(form.socketFamily, type, in: other ?? namespace, cgroup: cgroup)
  }

  func servers(_ family: Family, _ type: __socket_type, _ numbers: [UInt8]) throws -> [TestSocket] {
    try numbers.map { try TestSocket.server(SocketStage.server(family, $0), type, in: namespace) }
  }
}

extension SocketStage {
  /// What the kernel keeps for a connected socket.
  func socketEntry(_ socket: TestSocket) throws -> martlet_socket {
    let entries: BPFMap<Int32, martlet_socket> = try loaded.map("martlet_sockets")
    return try #require(try entries.lookup(socket.descriptor))
  }
}
