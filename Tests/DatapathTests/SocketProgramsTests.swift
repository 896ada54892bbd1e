import Addressing
import BPF
import CMartletABI
import Glibc
import KernelABI
import Logging
import Netlink
import Testing

@testable import Datapath

/// Attachment of the programs at the socket, over the lives of several agents.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct SocketProgramsTests {
  private static let root = access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup"
  private let name = "martlet-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
  private var pins: DatapathPins { DatapathPins(root: "/sys/fs/bpf/\(name)") }
  private var logger: Logger {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
  }

  /// Groups of the test's own, with nobody in them.
  private func withCgroups(_ body: (SocketCgroups) throws -> Void) throws {
    let cgroups = SocketCgroups(
      pods: "\(SocketProgramsTests.root)/\(name)/pods", root: "\(SocketProgramsTests.root)/\(name)")
    for path in [cgroups.root, cgroups.pods] { try #require(mkdir(path, 0o755) == 0) }
    defer {
      try? pins.removeAll()
      rmdir(cgroups.pods)
      rmdir(cgroups.root)
    }
    try body(cgroups)
  }

  private func links() throws -> [String: Link.Info] {
    try Dictionary(
      uniqueKeysWithValues: BPFFS.list(pins.sockets).map { ($0, try Link.fromPin(pins.socketLink($0)).info()) })
  }

  @Test func linksOutliveTheAgentAndAreTakenOver() throws {
    try withCgroups { cgroups in
      #expect(try pins.socketHooks(cgroups).allSatisfy { $0.state == .missing })
      do { try Datapath(pins: pins, logger: logger).sockets.attach(cgroups) }
      #expect(try pins.socketHooks(cgroups).allSatisfy(\.isHealthy))
      let first = try links()
      #expect(first.count == 18)

      let second = try Datapath(pins: pins, logger: logger)
      #expect(second.adopted)
      try second.sockets.attach(cgroups)
      for (name, info) in try links() {
        #expect(info.id == first[name]?.id)
        #expect(info.programID != first[name]?.programID)
      }
      try second.sockets.detach()
      #expect(try pins.socketHooks(cgroups).allSatisfy { $0.state == .missing })
      #expect(access(pins.sockets, F_OK) != 0)
    }
  }

  /// A node that starts again makes its pods' cgroup anew.
  @Test func aCgroupThatWasMadeAnewIsAttachedTo() throws {
    try withCgroups { cgroups in
      let datapath = try Datapath(pins: pins, logger: logger)
      try datapath.sockets.attach(cgroups)
      try #require(rmdir(cgroups.pods) == 0)
      try #require(mkdir(cgroups.pods, 0o755) == 0)
      for hook in try pins.socketHooks(cgroups) {
        #expect(hook.isHealthy == hook.name.hasPrefix("node"))
        #expect((hook.problem == nil) == hook.isHealthy)
      }
      try datapath.sockets.attach(cgroups)
      #expect(try pins.socketHooks(cgroups).allSatisfy(\.isHealthy))
      let elsewhere = SocketCgroups(pods: cgroups.root, root: cgroups.root)
      let other = try pins.socketHooks(elsewhere).filter { !$0.isHealthy }
      #expect(other.count == 8)
      #expect(other.allSatisfy { $0.state == .elsewhere(cgroupID: SocketCgroups.id(cgroups.pods) ?? 0) })
    }
  }

  /// Clients connect through the node's programs, which know them by their namespace, from wherever this test runs.
  @Test func clientsOfABackendThatHasGoneAreTold() throws {
    try withCgroups { cgroups in
      let datapath = try Datapath(pins: pins, logger: logger)
      let namespace = try NetworkNamespace.create()
      let netlink = try NetlinkHandle(in: namespace)
      try netlink.setInterface(index: 1, up: true)
      var settings = DatapathSettings()
      settings.nodeNamespaceCookie = try namespace.cookie()
      try datapath.configure(settings)
      try datapath.sockets.attach(SocketCgroups(pods: cgroups.pods, root: ownCgroup()))

      let service = try #require(IPAddress("10.96.0.10"))
      for number in UInt8(1)...2 { try balance(service, port: UInt16(number), backend: UInt32(number)) }
      let clients = try namespace.run {
        try (0..<4).map { try client("10.96.0.10", port: UInt16($0 % 2 + 1)) }
      }
      defer { for client in clients { close(client) } }

      #expect(try datapath.socketTermination.sockets().map(\.backend).sorted() == [1, 1, 2, 2])
      var asked = 0
      func end(_ backends: Set<UInt32>, in namespaces: [NetworkNamespace]) throws -> SocketTermination.Outcome {
        try datapath.socketTermination.terminate(backends: backends) {
          asked += 1
          return namespaces
        }
      }
      #expect(try end([7], in: [namespace]) == .init())
      #expect(asked == 0)
      #expect(try end([2], in: [NetworkNamespace.create()]) == .init(unreachable: 2))
      #expect(try end([2], in: [NetworkNamespace.create(), namespace]) == .init(ended: 2))
      #expect(clients.map(pendingError) == [0, ECONNABORTED, 0, ECONNABORTED])
      #expect(try datapath.socketTermination.sockets().map(\.backend) == [1, 1])
    }
  }

  private func ownCgroup() throws -> String {
    let file = try #require(fopen("/proc/self/cgroup", "r"))
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if text.hasPrefix("0::") { return SocketProgramsTests.root + text.dropFirst(3) }
    }
    throw BPFError(call: "read", errno: ENOENT, detail: "/proc/self/cgroup")
  }

  private func balance(_ address: IPAddress, port: UInt16, backend number: UInt32) throws {
    var key = martlet_frontend_key()
    key.address = martlet_addr(address)
    key.port = port.bigEndian
    key.protocol = UInt8(IPPROTO_UDP)
    try BPFMap.fromPin(pins.map(.frontends)).update(
      key, martlet_frontend(service: number, external: 0, flags: 0, pad: 0))
    try BPFMap.fromPin(pins.map(.services)).update(
      number, martlet_service(table: number, count: 1, affinity: 0, flags: 0, listener: 0, pad: 0))
    try BPFMap.fromPin(pins.map(.serviceSlots)).update(martlet_slot_key(table: number, slot: 0), number)
    var backend = martlet_backend()
    backend.address = martlet_addr(IPAddress(v4: 0x7f00_0001))
    backend.port = (9000 + UInt16(number)).bigEndian
    try BPFMap.fromPin(pins.map(.backends)).update(number, backend)
  }
}

/// A connected datagram socket of the calling thread's namespace.
private func client(_ address: String, port: UInt16) throws -> Int32 {
  let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
  var target = sockaddr_in()
  target.sin_family = sa_family_t(AF_INET)
  target.sin_port = port.bigEndian
  inet_pton(AF_INET, address, &target.sin_addr)
  let result = withUnsafePointer(to: target) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  if result != 0 { throw NetlinkError(request: "connect", errno: errno) }
  return descriptor
}

private func pendingError(_ descriptor: Int32) -> Int32 {
  var error: Int32 = 0
  var length = socklen_t(4)
  getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
  return error
}
