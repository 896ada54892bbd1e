import CLinux
import CNI
import Files
import Glibc

/// A control group of the unified hierarchy (cgroup v2), by its path.
public struct Cgroup: Hashable, Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  /// Where the unified hierarchy is mounted, alone or beside v1: the first cgroup2 line of /proc/self/mountinfo.
  public static func mountPoint(mountinfo: String) -> String? {
    for line in mountinfo.split(separator: "\n") {
      let fields = line.split(separator: " ")
      // Optional fields end at a lone hyphen; the file system's type follows (proc_pid_mountinfo(5)).
      guard let hyphen = fields.firstIndex(of: "-"), hyphen + 1 < fields.count, fields.count > 4 else { continue }
      if fields[hyphen + 1] == "cgroup2" { return String(fields[4]) }
    }
    return nil
  }

  /// The mount point on this machine. Where none is to be seen, as under `ip netns exec`, which hides /sys, the hierarchy
  /// is mounted at its usual place; that needs a mount namespace in which the place is free.
  public static func systemMountPoint() throws(WorkloadError) -> String {
    if let path = try visibleMountPoint() { return path }
    let usual = "/sys/fs/cgroup"
    guard mount("cgroup2", usual, "cgroup2", 0, nil) == 0 else { throw .noCgroup2 }
    return usual
  }

  private static func visibleMountPoint() throws(WorkloadError) -> String? {
    do throws(FileError) {
      return mountPoint(mountinfo: String(decoding: try StateFiles.read("/proc/self/mountinfo"), as: UTF8.self))
    } catch {
      throw .file(error)
    }
  }

  public var procsPath: String { path + "/cgroup.procs" }

  public func create() throws(FileError) { try StateFiles.makeDirectories(path, mode: 0o755) }

  /// The processes in it.
  public var processes: [Int32] {
    guard let text = try? StateFiles.read(procsPath) else { return [] }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
  }

  /// SIGKILL to everything in it and below, at once (cgroup.kill, Linux 5.14).
  public func kill() throws(FileError) {
    do {
      try StateFiles.put("1", into: path + "/cgroup.kill")
    } catch {
      if error.errno != ENOENT && error.errno != ENODEV { throw error }
    }
  }

  /// Kills what is in it, waits until it is empty and removes it. One that is not there is no error. Blocks.
  public func destroy() throws(FileError) {
    guard StateFiles.exists(path) else { return }
    try kill()
    for name in (try? StateFiles.list(path)) ?? [] where isFolder(path + "/" + name) {
      try Cgroup(path: path + "/" + name).destroy()
    }
    var delay: UInt32 = 200
    for _ in 0..<200 {
      if rmdir(path) == 0 || errno == ENOENT { return }
      guard errno == EBUSY else { break }
      usleep(delay)
      delay = min(delay * 2, 20_000)
    }
    throw FileError("remove cgroup", path, errno: errno)
  }

  private func isFolder(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}
