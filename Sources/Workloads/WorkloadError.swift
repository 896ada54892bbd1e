import CNI
import Files
import Glibc
import Netlink

/// Why a workload can not be started, or the runtime can not work here.
public enum WorkloadError: Error, Hashable, Sendable, CustomStringConvertible {
  case file(FileError)
  case noCgroup2
  case netlink(NetlinkError)
  case plugin(code: Int64, message: String)
  case pluginDied(String)
  case invalidPod(String)
  case spawn(step: String, command: String, errno: Int32)

  public var description: String {
    switch self {
    case .file(let error): error.description
    case .noCgroup2: "no cgroup2 file system is mounted: mount one, e.g. mount -t cgroup2 none /sys/fs/cgroup/unified"
    case .netlink(let error): error.description
    case .plugin(let code, let message): "CNI plugin failed with code \(code): \(message)"
    case .pluginDied(let how): "CNI plugin \(how)"
    case .invalidPod(let what): what
    case .spawn(let step, let command, let errno):
      "can not start \"\(command)\": \(step): \(String(cString: strerror(errno)))"
    }
  }
}
