import Glibc
import Netlink
import Testing

@testable import BPF

/// Attachments in namespaces of the test's own; a body runs on a thread that is in it.
@Suite(.enabled(if: isRoot, "needs root")) struct LinkTests {
  private let namespace: NetworkNamespace
  private let index: UInt32
  private let sample: Program
  private let pass: Program
  private let folder: PinFolder

  init() throws {
    namespace = try NetworkNamespace.create()
    let netlink = try NetlinkHandle(in: namespace)
    try netlink.createVeth(VethSpecification(name: "kl0", peerName: "kl1"))
    index = try #require(try netlink.interface(named: "kl0")).index
    let loaded = try Sample.specification().load()
    sample = try loaded.program("sample")
    pass = try loaded.program("pass")
    folder = try PinFolder()
  }

  private func attached(_ direction: TrafficDirection) throws -> [TCAttachment.Attached] {
    try namespace.run { [index] in try TCAttachment.query(interfaceIndex: index, direction: direction) }
  }

  /// The kernel drops what a pin held from a work queue.
  private func expectNothingSoon(_ direction: TrafficDirection) throws {
    for _ in 0..<1000 {
      if try attached(direction).isEmpty { return }
      usleep(2000)
    }
    Issue.record("still attached")
  }

  @Test(arguments: TrafficDirection.allCases, [TCAttachment.Mechanism.tcx, .clsact])
  func attachReplaceDetach(_ direction: TrafficDirection, _ mechanism: TCAttachment.Mechanism) throws {
    #expect(try attached(direction).isEmpty)
    let attachment = try namespace.run { [index, sample] in
      try TCAttachment.attach(sample, interfaceIndex: index, direction: direction, mechanism: mechanism)
    }
    #expect(attachment.mechanism == mechanism)
    #expect(try attached(direction) == [.init(programID: sample.id, mechanism: mechanism)])
    #expect(try attached(direction == .ingress ? .egress : .ingress).isEmpty)
    try namespace.run { [pass] in try attachment.replace(with: pass) }
    #expect(try attached(direction) == [.init(programID: pass.id, mechanism: mechanism)])
    try namespace.run { try attachment.detach() }
    #expect(try attached(direction).isEmpty)
    try namespace.run { try attachment.detach() }
  }

  @Test func tcxIsTakenWhereThereIsTCX() throws {
    #expect(Feature.tcx.probe() == .supported)
    let attachment = try namespace.run { [index, sample] in
      try TCAttachment.attach(sample, interfaceIndex: index, direction: .ingress)
    }
    #expect(attachment.mechanism == .tcx)
  }

  @Test func pinnedAttachmentsOutliveTheirOwnerAndAreTakenOver() throws {
    let path = folder.path + "/ingress"
    func attach(_ program: Program) throws {
      _ = try namespace.run { [index] in
        try TCAttachment.attach(program, interfaceIndex: index, direction: .ingress, pinPath: path)
      }
    }
    try attach(sample)
    let link = try Link.fromPin(path).info()
    #expect(link.interfaceIndex == index && link.attachType == .tcxIngress && link.programID == sample.id)
    try attach(pass)
    #expect(try attached(.ingress).map(\.programID) == [pass.id])
    #expect(try Link.fromPin(path).info().id == link.id)
    try Link.unpin(path)
    try expectNothingSoon(.ingress)
  }

  @Test func pinsOfDevicesThatAreGoneAreReplaced() throws {
    let path = folder.path + "/stale"
    let netlink = try NetlinkHandle(in: namespace)
    try netlink.createVeth(VethSpecification(name: "kl2", peerName: "kl3"))
    let old = try #require(try netlink.interface(named: "kl2")).index
    let attachment = try namespace.run { [sample] in
      try TCAttachment.attach(sample, interfaceIndex: old, direction: .ingress, pinPath: path)
    }
    try netlink.deleteInterface(index: old)
    #expect(try Link.fromPin(path).info().interfaceIndex == 0)
    _ = try namespace.run { [index, sample] in
      try TCAttachment.attach(sample, interfaceIndex: index, direction: .ingress, pinPath: path)
    }
    #expect(try Link.fromPin(path).info().interfaceIndex == index)
    // The old value no longer owns what is pinned there now, but its path does name it.
    try attachment.detach()
    try expectNothingSoon(.ingress)
  }

  @Test func missingDevicesAreNamed() throws {
    let error = try #require(throws: BPFError.self) {
      try TCAttachment.attach(sample, interfaceIndex: 1_000_000, direction: .ingress)
    }
    #expect(error.errno == ENODEV)
    #expect(error.detail == "tcx on device 1000000")
  }

  @Test func linksUpdateDetachAndHaveIDs() throws {
    let link = try namespace.run { [index, sample] in
      try Link.tcx(sample, interfaceIndex: index, direction: .egress)
    }
    let info = try link.info()
    #expect(info.type == 11 && info.attachType == .tcxEgress)
    #expect(try Link.allIDs().contains(info.id))
    #expect(try Link.fromID(info.id).info() == info)
    try link.update(to: pass)
    #expect(try link.info().programID == pass.id)
    try link.detach()
    #expect(try link.info().interfaceIndex == 0)
  }

  @Test func cgroupsAndXDP() throws {
    let object = try ObjectSpecification(
      bytes: Compiler.object(
        """
        #include <linux/bpf.h>
        #include <bpf/bpf_helpers.h>
        SEC("cgroup_skb/egress") int all(struct __sk_buff *skb) { return 1; }
        SEC("xdp") int every(struct xdp_md *context) { return XDP_PASS; }
        char _license[] SEC("license") = "Dual BSD/GPL";
        """), name: "hooks"
    ).load()
    let xdp = try namespace.run { [index] in try Link.xdp(object.program("every"), interfaceIndex: index) }
    #expect(try xdp.info().interfaceIndex == index)

    let root = access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup"
    let path = "\(root)/kernel-libs-\(getpid())"
    try #require(mkdir(path, 0o755) == 0)
    defer { rmdir(path) }
    let cgroup = try Link.cgroup(object.program("all"), path: path, type: .cgroupInetEgress)
    #expect(try cgroup.info().attachType == .cgroupInetEgress)
    #expect(try cgroup.info().cgroupID != 0)
    #expect(throws: BPFError.self) {
      try Link.cgroup(object.program("all"), path: path + "/absent", type: .cgroupInetEgress)
    }
  }
}
