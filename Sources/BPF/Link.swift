import CLibBPF
import CLinux
import Glibc

/// Who runs a device's XDP program.
public enum XDPMode: String, Sendable, Hashable, CaseIterable {
  /// The driver, on the frame as the device gave it. Not every driver can.
  case native
  /// The kernel, on every device, where there is a socket buffer already.
  case generic

  /// XDP_FLAGS_… of linux/if_link.h.
  var flag: UInt32 { self == .native ? 1 << 2 : 1 << 1 }
}

/// A program's attachment that the kernel ends when its last descriptor and pin go.
public final class Link: Sendable {
  let descriptor: OwnedDescriptor

  init(_ descriptor: OwnedDescriptor) { self.descriptor = descriptor }

  public var fileDescriptor: Int32 { descriptor.number }

  /// What the kernel says of a link (struct bpf_link_info).
  public struct Info: Sendable, Hashable {
    public let id: UInt32
    /// enum bpf_link_type: 3 cgroup, 6 XDP, 11 tcx.
    public let type: UInt32
    public let programID: UInt32
    /// tcx and XDP: the device, 0 when it is gone.
    public let interfaceIndex: UInt32
    /// tcx and cgroup.
    public let attachType: AttachType?
    /// cgroup: its inode number.
    public let cgroupID: UInt64
  }

  /// Attaches to a device by tcx, after what is there already (Linux 6.6).
  public static func tcx(
    _ program: Program, interfaceIndex: UInt32, direction: TrafficDirection
  ) throws(BPFError) -> Link {
    let number = clinux_bpf_tcx_link_create(program.fileDescriptor, interfaceIndex, direction.tcx.rawValue)
    return try Link(OwnedDescriptor(owning: check(number, "BPF_LINK_CREATE", "tcx on device \(interfaceIndex)")))
  }

  /// Attaches to a device by XDP. No device takes two.
  ///
  /// - Parameter mode: nil leaves the choice to the kernel.
  public static func xdp(
    _ program: Program, interfaceIndex: UInt32, mode: XDPMode? = nil
  ) throws(BPFError) -> Link {
    try create(
      program, Int32(interfaceIndex), .xdp, flags: mode?.flag ?? 0,
      "\(mode.map { "\($0) " } ?? "")XDP on device \(interfaceIndex)")
  }

  /// Attaches to the cgroup (v2) at `path`.
  public static func cgroup(_ program: Program, path: String, type: AttachType) throws(BPFError) -> Link {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if folder < 0 { throw BPFError(call: "open", errno: errno, detail: path) }
    defer { close(folder) }
    return try create(program, folder, type, flags: 0, "cgroup \(path)")
  }

  /// Attaches a program of type `sk_lookup` to the network namespace behind a descriptor.
  public static func networkNamespace(_ program: Program, descriptor: Int32) throws(BPFError) -> Link {
    try create(program, descriptor, .skLookup, flags: 0, "a network namespace")
  }

  /// The programs of type `sk_lookup` on the network namespace behind a descriptor, by id.
  public static func programs(onNamespace descriptor: Int32) throws(BPFError) -> [UInt32] {
    var ids = [UInt32](repeating: 0, count: 64)
    var count = UInt32(ids.count)
    let result = bpf_prog_query(descriptor, AttachType.skLookup.kernel, 0, nil, &ids, &count)
    try check(result, "BPF_PROG_QUERY", "a network namespace")
    return Array(ids.prefix(Int(count)))
  }

  /// Makes a program of the section `iter/bpf_…_map_…` ready to walk over a map; see ``readAll()``.
  public static func iterator(_ program: Program, over map: RawMap) throws(BPFError) -> Link {
    var target = bpf_iter_link_info()
    target.map.map_fd = UInt32(map.fileDescriptor)
    let number = withUnsafeMutablePointer(to: &target) { target in
      withOptions(bpf_link_create_opts.self) { options in
        options.pointee.iter_info = target
        options.pointee.iter_info_len = UInt32(MemoryLayout<bpf_iter_link_info>.size)
        return bpf_link_create(program.fileDescriptor, 0, BPF_TRACE_ITER, options)
      }
    }
    return try Link(OwnedDescriptor(owning: check(number, "BPF_LINK_CREATE", "an iterator over \(map.label)")))
  }

  /// Lets an iterator walk once, and returns what it wrote (bpf_seq_write).
  public func readAll() throws(BPFError) -> [UInt8] {
    let walk = OwnedDescriptor(owning: try check(bpf_iter_create(fileDescriptor), "BPF_ITER_CREATE"))
    var written: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(walk.number, &buffer, buffer.count)
      if count == 0 { return written }
      if count > 0 { written += buffer.prefix(count) }
      // EAGAIN: the kernel paused between two entries.
      if count < 0, errno != EINTR, errno != EAGAIN {
        throw BPFError(call: "read", errno: errno, detail: "an iterator")
      }
    }
  }

  private static func create(
    _ program: Program, _ target: Int32, _ type: AttachType, flags: UInt32, _ label: String
  ) throws(BPFError) -> Link {
    let number = withOptions(bpf_link_create_opts.self) { options in
      options.pointee.flags = flags
      return bpf_link_create(program.fileDescriptor, target, type.kernel, options)
    }
    return try Link(OwnedDescriptor(owning: check(number, "BPF_LINK_CREATE", label)))
  }

  public static func fromPin(_ path: String) throws(BPFError) -> Link {
    try Link(Pin.open(path))
  }

  public static func fromID(_ id: UInt32) throws(BPFError) -> Link {
    try Link(OwnedDescriptor(owning: check(bpf_link_get_fd_by_id(id), "BPF_LINK_GET_FD_BY_ID", "link \(id)")))
  }

  /// The ids of all links of the machine, ascending.
  public static func allIDs() throws(BPFError) -> [UInt32] {
    try collectIDs("BPF_LINK_GET_NEXT_ID", bpf_link_get_next_id)
  }

  /// Pins the link; with `replacing` an older pin at `path` gives way, and its attachment with it.
  public func pin(at path: String, replacing: Bool = false) throws(BPFError) {
    try Pin.pin(fileDescriptor, at: path, replacing: replacing)
  }

  /// Removes a link's pin; the attachment ends unless a descriptor is open. The kernel does so a moment later:
  /// ``detach()`` first where that matters.
  public static func unpin(_ path: String) throws(BPFError) { try Pin.unpin(path) }

  /// Puts another program in place: every packet is seen by the old one or by the new one.
  public func update(to program: Program) throws(BPFError) {
    try check(
      bpf_link_update(fileDescriptor, program.fileDescriptor, nil), "BPF_LINK_UPDATE", "program \"\(program.name)\"")
  }

  /// Ends the attachment now, whoever else holds the link.
  public func detach() throws(BPFError) {
    try check(bpf_link_detach(fileDescriptor), "BPF_LINK_DETACH")
  }

  public func info() throws(BPFError) -> Info {
    var info = clinux_bpf_link_info()
    try check(clinux_bpf_link_info(fileDescriptor, &info), "BPF_OBJ_GET_INFO_BY_FD", "a link")
    let hasAttachType = info.type == 3 || info.type == 5 || info.type == UInt32(CLINUX_BPF_LINK_TYPE_TCX)
    return Info(
      id: info.id, type: info.type, programID: info.program_id, interfaceIndex: info.ifindex,
      attachType: hasAttachType ? AttachType(rawValue: info.attach_type) : nil, cgroupID: info.cgroup_id)
  }
}
