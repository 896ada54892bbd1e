import BPF
import Glibc
import Logging
import Netlink
import Testing

@testable import Datapath

/// The programs on pods' devices, in a namespace of the test's own.
@Suite(.enabled(if: geteuid() == 0, "needs root")) struct AttachmentTests {
  private let namespace: NetworkNamespace
  private let netlink: NetlinkHandle

  init() throws {
    namespace = try NetworkNamespace.create()
    netlink = try NetlinkHandle(in: namespace)
  }

  /// Makes a device pair; the index of the first end.
  private func make(_ name: String) throws -> UInt32 {
    try netlink.createVeth(VethSpecification(name: name, peerName: name + "p"))
    return try #require(try netlink.interface(named: name)).index
  }

  /// Runs `body` in the namespace with a way to make datapaths on the same pins, which are gone afterwards.
  private func withPins(_ body: @escaping @Sendable (DatapathPins, @Sendable () throws -> Datapath) throws -> Void)
    throws
  {
    let pins = DatapathPins(root: "/sys/fs/bpf/martlet-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let quiet = logger
    try namespace.run {
      defer { try? pins.removeAll() }
      try body(pins) { try Datapath(pins: pins, logger: quiet) }
      try pins.removeAll()
      #expect(access(pins.root, F_OK) != 0)
    }
  }

  private static func programs(_ index: UInt32) throws -> [UInt32] {
    try TrafficDirection.allCases.flatMap { try TCAttachment.query(interfaceIndex: index, direction: $0) }.map(
      \.programID)
  }

  @Test func attachmentsOutliveTheirProcessAndGoWithTheirPins() throws {
    let index = try make("mlt0")
    try withPins { pins, datapath in
      let first = try datapath()
      try first.attach(interface: "mlt0", index: index)
      #expect(try first.attachedInterfaces() == ["mlt0"])
      #expect(try AttachmentTests.programs(index) == [first.fromContainer.id, first.toContainer.id])
      #expect(try pins.attachments().map(\.programID) == [first.fromContainer.id, first.toContainer.id])
      // The next process puts its programs in place of these.
      let second = try datapath()
      #expect(try second.attachedInterfaces() == ["mlt0"])
      try second.attach(interface: "mlt0", index: index)
      #expect(try AttachmentTests.programs(index) == [second.fromContainer.id, second.toContainer.id])
      try pins.removeAll()
      #expect(try AttachmentTests.programs(index).isEmpty)
    }
  }

  /// A device that XDP's program is on, by the driver or without it.
  @Test func theXDPProgramOutlivesItsProcess() throws {
    let index = try make("mlt0")
    try withPins { pins, datapath in
      func link(_ mode: XDPMode) throws -> Link.Info { try Link.fromPin(pins.devices.xdp("mlt0", mode)).info() }
      let first = try datapath().wire
      try first.attach(interface: "mlt0", index: index, mode: .generic)
      let before = try link(.generic)
      #expect(before.interfaceIndex == index && first.mode(interface: "mlt0", index: index) == .generic)
      #expect(try pins.attachments().map(\.programID) == [before.programID])
      // The next process puts its program in place of this one.
      let second = try datapath().wire
      #expect(second.mode(interface: "mlt0", index: index) == .generic)
      try second.attach(interface: "mlt0", index: index, mode: .generic)
      let after = try link(.generic)
      #expect(after.id == before.id && after.programID != before.programID)
      // Somebody takes it off.
      try Link.fromPin(pins.devices.xdp("mlt0", .generic)).detach()
      #expect(second.mode(interface: "mlt0", index: index) == nil)
      #expect(try second.repair() == ["mlt0"])
      #expect(try second.repair() == [] && link(.generic).interfaceIndex == index)
      try second.attach(interface: "mlt0", index: index, mode: .native)
      #expect(second.mode(interface: "mlt0", index: index) == .native)
      #expect(access(pins.devices.xdp("mlt0", .generic), F_OK) != 0)
      try second.detach(except: [])
      #expect(second.mode(interface: "mlt0", index: index) == nil && access(pins.programs + "/from_wire", F_OK) != 0)
      // There is room for others.
      try second.attach(interface: "mlt0", index: index, mode: .native)
    }
  }

  @Test func devicesThatAreGoneAreForgotten() throws {
    let indexes = try [make("mlt0"), make("mlt1")]
    let netlink = netlink
    try withPins { _, datapath in
      let datapath = try datapath()
      for (number, index) in indexes.enumerated() { try datapath.attach(interface: "mlt\(number)", index: index) }
      try netlink.deleteInterface(index: indexes[0])
      try datapath.detach(interface: "mlt0")
      try datapath.detach(interface: "mlt0")
      #expect(try datapath.attachedInterfaces() == ["mlt1"])
      try datapath.detach(interface: "mlt1")
      #expect(try AttachmentTests.programs(indexes[1]).isEmpty)
      #expect(try datapath.attachedInterfaces().isEmpty)
    }
  }
}
