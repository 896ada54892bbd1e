#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where an instance of Martlet keeps its files, and the names that follow from that place. Every verb finds its agent
/// through this type, so the names stand here once.
public struct StateDirectory: Hashable, Sendable {
  public let path: String

  public static let defaultPath = "/var/lib/martlet"

  /// The directory given, else that of `MARTLET_STATE_DIR`, else `/var/lib/martlet`; made absolute.
  public init(_ path: String? = nil) {
    let chosen = path ?? getenv("MARTLET_STATE_DIR").map { String(cString: $0) } ?? StateDirectory.defaultPath
    var absolute = chosen
    if !chosen.hasPrefix("/"), let current = getcwd(nil, 0) {
      absolute = String(cString: current) + "/" + chosen
      free(current)
    }
    while absolute.count > 1, absolute.hasSuffix("/") { absolute.removeLast() }
    self.path = absolute
  }

  /// Eight hexadecimal digits that tell the instances on one machine apart: FNV-1a of the path.
  public var instance: String {
    let hash = path.utf8.reduce(0x811c_9dc5 as UInt32) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  public var agentSocket: String { path + "/agent.sock" }
  public var kubeconfig: String { path + "/kubeconfig" }
  public var lock: String { path + "/lock" }
  public var logs: String { path + "/logs" }
  public var run: String { path + "/run" }
  /// Where `martlet up` is asked for what only it can do.
  public var hostSocket: String { run + "/up.sock" }
  public var proxy: ProxyFiles { ProxyFiles(folder: path + "/proxy") }
  /// What names were answered with, kept for the next agent.
  public var nameCache: String { path + "/names.json" }
  public var cni: String { path + "/cni" }
  /// The last good version of each configuration of the proxy's routes, kept for the next agent.
  public var routes: String { path + "/routes" }

  /// Where this instance's BPF objects are pinned.
  public var pins: String { "/sys/fs/bpf/martlet/\(instance)" }

  /// Makes the directory and those below it, readable by their owner alone.
  public func create() throws(FileError) {
    for directory in [path, logs, run, proxy.folder, cni, routes] { try StateFiles.makeDirectories(directory) }
  }
}
