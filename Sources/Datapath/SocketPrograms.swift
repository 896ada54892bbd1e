import BPF

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The programs that balance at the socket: for the pods' processes at their cgroup, for the node's own at the root of all.
/// They share every map with the pods' programs. Their links are pinned, so that clients are balanced while no agent runs.
public final class SocketPrograms: Sendable {
  private let pins: DatapathPins
  private let maps: [String: RawMap]

  /// - Parameter maps: those of the pods' programs.
  init(pins: DatapathPins, maps: [String: RawMap]) {
    self.pins = pins
    self.maps = maps
  }

  /// Attaches all programs, or puts them in place of those of an earlier process without a gap. The cgroups must exist.
  ///
  /// - Throws: the first error, after every hook was tried: some clients balanced at the socket are better than none, and
  ///   the others are balanced by their packets.
  public func attach(_ cgroups: SocketCgroups) throws {
    let specification = try ObjectSpecification(bytes: BPFObjects.socket, name: "socket")
    let object = try specification.load(reusing: maps)
    try BPFFS.makeDirectories(pins.sockets)
    var failure: (any Error)?
    for program in specification.programs {
      do {
        let loaded = try object.program(program.name)
        try attach(loaded, program.attachType, name: program.name, cgroup: cgroups.path(program: program.name))
        try loaded.pin(at: "\(pins.programs)/\(program.name)", replacing: true)
      } catch {
        failure = failure ?? error
      }
    }
    for name in try BPFFS.list(pins.sockets) where !specification.programs.contains(where: { $0.name == name }) {
      try Link.unpin(pins.socketLink(name))
    }
    if let failure { throw failure }
  }

  private func attach(_ program: Program, _ type: AttachType, name: String, cgroup: String) throws(BPFError) {
    let path = pins.socketLink(name)
    if access(path, F_OK) == 0 {
      let link = try Link.fromPin(path)
      let info = try link.info()
      if info.attachType == type, info.cgroupID == SocketCgroups.id(cgroup) { return try link.update(to: program) }
    }
    try Link.cgroup(program, path: cgroup, type: type).pin(at: path, replacing: true)
  }

  /// Ends all attachments, of this process and of earlier ones.
  public func detach() throws(BPFError) { try pins.detachSockets() }
}

/// Where the programs at the socket are attached: paths in the unified hierarchy (cgroup v2).
public struct SocketCgroups: Hashable, Sendable {
  /// The group of all pods of this node.
  public var pods: String
  /// The root of all, for the node's own processes, which may be anywhere below.
  public var root: String

  public init(pods: String, root: String) {
    self.pods = pods
    self.root = root
  }

  func path(program: String) -> String { program.hasPrefix("node") ? root : pods }

  /// The group's number as links tell it: its inode's; nil when it is not there.
  static func id(_ path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }
}

extension DatapathPins {
  /// A link for each program at the socket.
  var sockets: String { root + "/sockets" }

  func socketLink(_ program: String) -> String { "\(sockets)/\(program)" }

  func detachSockets() throws(BPFError) {
    for name in try BPFFS.list(sockets) {
      // At once: the kernel ends what only a pin held a moment later.
      if let link = try? Link.fromPin(socketLink(name)) { try? link.detach() }
      try Link.unpin(socketLink(name))
    }
    rmdir(sockets)
  }
}
