import BPF
import KernelABI

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
  /// The attachments to the pods' devices.
  public var pods: AttachmentPins { AttachmentPins(root: root + "/links") }
  public var programs: String { root + "/progs" }
  /// The attachments to the node's own devices.
  public var devices: AttachmentPins { AttachmentPins(root: root + "/devices") }
  /// The attachment of `proxy_lookup` to the node's network namespace.
  var proxyLookup: String { root + "/proxy_lookup" }

  public func map(_ name: MapName) -> String { name.pin(in: maps) }

  func remove(_ path: String) { unlink(path) }

  func removeMaps() throws(BPFError) {
    for name in try BPFFS.list(maps) { remove("\(maps)/\(name)") }
  }

  /// Removes every pin of the instance: programs are detached and maps freed.
  public func removeAll() throws(BPFError) {
    try devices.removeAll()
    try pods.removeAll()
    try detachSockets()
    for directory in [programs, maps] {
      for name in try BPFFS.list(directory) { remove("\(directory)/\(name)") }
      rmdir(directory)
    }
    remove(proxyLookup)
    rmdir(root)
  }
}
