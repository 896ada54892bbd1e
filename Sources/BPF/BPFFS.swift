import CLinux
import Glibc

/// The BPF file system, where pins live. Names in it have no dots.
public enum BPFFS {
  /// BPF_FS_MAGIC of linux/magic.h.
  private static let magic = 0xcafe_4a11

  /// Whether `path` is on a BPF file system.
  public static func isMounted(at path: String) -> Bool {
    var status = statfs()
    return statfs(path, &status) == 0 && Int(status.f_type) == magic
  }

  /// Mounts a BPF file system at `path` unless there is one.
  public static func ensureMounted(at path: String = "/sys/fs/bpf") throws(BPFError) {
    if isMounted(at: path) { return }
    if mkdir(path, 0o700) != 0, errno != EEXIST { throw BPFError(call: "mkdir", errno: errno, detail: path) }
    if mount("bpf", path, "bpf", 0, "mode=0700") != 0 { throw BPFError(call: "mount", errno: errno, detail: path) }
  }

  /// Makes `path` and what is missing above it, mode 0700.
  public static func makeDirectories(_ path: String) throws(BPFError) {
    var current = path.hasPrefix("/") ? "" : "."
    for part in path.split(separator: "/") {
      current += "/" + part
      if mkdir(current, 0o700) == 0 || errno == EEXIST { continue }
      throw BPFError(call: "mkdir", errno: errno, detail: current)
    }
  }

  /// Names in a folder, sorted; empty when there is no such folder.
  public static func list(_ path: String) throws(BPFError) -> [String] {
    guard let folder = opendir(path) else {
      if errno == ENOENT { return [] }
      throw BPFError(call: "opendir", errno: errno, detail: path)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = text(of: entry.pointee.d_name)
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Removes a pin, or a folder with all that is below it; nothing there is not an error.
  /// What the pins kept alive (attachments too) goes unless something else holds it.
  public static func remove(_ path: String) throws(BPFError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw BPFError(call: "lstat", errno: errno, detail: path)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return try Pin.unpin(path) }
    for name in try list(path) { try remove("\(path)/\(name)") }
    if rmdir(path) != 0, errno != ENOENT { throw BPFError(call: "rmdir", errno: errno, detail: path) }
  }
}
