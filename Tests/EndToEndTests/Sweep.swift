import Glibc
import JSON

/// What a node has made outside of its network namespace, and its removal when the node did not see to it itself: a
/// failing test must not leave anything to the next one.
struct Traces {
  /// Names below /run/netns.
  let namespaces: Set<String>
  private let state: String

  /// To be read while the node runs: a node that ends cleanly removes its records.
  init(of node: Node) {
    state = node.state
    let folder = state + "/cni/attachments"
    namespaces = Set(
      entries(of: folder).filter { $0.hasSuffix(".json") }.compactMap {
        let path = (try? JSONValue(parsing: read("\(folder)/\($0)")))?["netns"]?.stringValue
        return path?.split(separator: "/").last.map(String.init)
      })
  }

  /// The folders of pins, by the instance in the namespaces' names.
  var pins: [String] {
    Set(namespaces.compactMap { $0.split(separator: "-").dropFirst().first }).map { "/sys/fs/bpf/martlet/\($0)" }
  }

  /// The processes that name the node's state directory, and their commands.
  var processes: [pid_t: String] {
    var found: [pid_t: String] = [:]
    for name in entries(of: "/proc") {
      guard let pid = pid_t(name), pid != getpid() else { continue }
      let command = read("/proc/\(name)/cmdline")
      if command.contains(state) { found[pid] = command }
    }
    return found
  }

  /// The pods' cgroups; their namespaces may be mounted only where `martlet up` ran.
  var groups: [String] {
    pins.compactMap { $0.split(separator: "/").last }.flatMap { instance in
      ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map { "\($0)/martlet-\(instance)" }
    }
  }

  func sweep() {
    for pid in processes.keys { kill(pid, SIGKILL) }
    for group in groups {
      let pods = entries(of: group).map { "\(group)/\($0)" }
      for pod in pods {
        for pid in read(pod + "/cgroup.procs").split(separator: "\n").compactMap({ pid_t($0) }) { kill(pid, SIGKILL) }
      }
      _ = eventually(within: 2) { pods.allSatisfy { read($0 + "/cgroup.procs").isEmpty } }
      for folder in pods + [group] { rmdir(folder) }
    }
    for namespace in entries(of: "/run/netns").intersection(namespaces) {
      _ = try? command(["ip", "netns", "del", namespace])
    }
    for folder in pins where access(folder, F_OK) == 0 { _ = try? command(["rm", "-rf", folder]) }
  }
}
