import BPF

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where the kernel objects of one instance are pinned, below `/sys/fs/bpf/martlet/<instance>`.
public struct DatapathPins: Hashable, Sendable {
  public let root: String

  public init(root: String) { self.root = root }

  public var maps: String { root + "/maps" }
  public var links: String { root + "/links" }
  public var programs: String { root + "/progs" }
  /// A folder for each of the node's own devices.
  var devices: String { root + "/devices" }

  public func map(_ name: String) -> String { "\(maps)/\(name)" }

  func link(_ interface: String, _ direction: TrafficDirection) -> String {
    "\(links)/\(interface)-\(direction.rawValue)"
  }

  func remove(_ path: String) { unlink(path) }

  func removeMaps() throws(BPFError) {
    for name in try BPFFS.list(maps) { remove(map(name)) }
  }

  /// Removes every pin of the instance: programs are detached and maps freed.
  public func removeAll() throws(BPFError) {
    try detachDevices(except: [])
    try detachSockets()
    for directory in [links, programs, maps] {
      for name in try BPFFS.list(directory) { remove("\(directory)/\(name)") }
      rmdir(directory)
    }
    rmdir(devices)
    rmdir(root)
  }
}
