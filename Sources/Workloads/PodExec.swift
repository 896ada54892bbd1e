import CLinux
import CNI
import Files
import Glibc
import Netlink

/// Why a command can not be executed in a Pod.
public enum PodExecError: Error, Hashable, Sendable, CustomStringConvertible {
  case notRunning(pod: String)
  case workload(WorkloadError)
  case execute(command: String, errno: Int32)

  public var description: String {
    switch self {
    case .notRunning(let pod): "pod \(pod) does not run on this node"
    case .workload(let error): error.description
    case .execute(let command, let errno): "can not execute \(command): \(String(cString: strerror(errno)))"
    }
  }
}

/// Executing a command beside a Pod's process.
public enum PodExec {
  /// Becomes the command, in the Pod's network namespace and cgroup, with this process's terminal, files and user. Returns only
  /// by throwing. To be called before the program starts other threads: they end with the old program.
  ///
  /// - Parameters:
  ///   - command: The program, looked up in PATH unless it holds a slash, and its arguments.
  ///   - environment: For the command; `POD_NAME`, `POD_NAMESPACE`, `POD_IP` and `POD_IPS` are added.
  public static func replaceProcess(
    stateDirectory: String, namespace: String, name: String, command: [String], environment: [String: String]
  ) throws(PodExecError) -> Never {
    let pod = "\(namespace)/\(name)"
    let found: PodRecord?
    do {
      found = try PodRecordStore(stateDirectory: stateDirectory).find(namespace: namespace, name: name)
    } catch {
      throw .workload(.file(error))
    }
    guard let record = found, record.isProcessAlive else { throw .notRunning(pod: pod) }
    guard let program = command.first else { throw .execute(command: "", errno: EINVAL) }
    do {
      // Killed with the Pod, and counted with it.
      // Through the process's own root: `martlet up` may live in another mount namespace than this one.
      try StateFiles.put("0", into: "/proc/\(record.pid)/root\(record.cgroup)/cgroup.procs")
    } catch {
      throw .workload(.file(error))
    }
    do throws(NetlinkError) {
      let target = try NetworkNamespace(path: "/proc/\(record.pid)/ns/net")
      let status = clinux_setns(target.fileDescriptor, Int32(CLINUX_CLONE_NEWNET))
      guard status == 0 else { throw NetlinkError(request: "setns \(record.netns)", errno: -status) }
    } catch {
      throw .workload(.netlink(error))
    }
    var variables = environment
    variables["POD_NAME"] = record.name
    variables["POD_NAMESPACE"] = record.namespace
    variables["POD_IP"] = record.addresses.first?.description ?? ""
    variables["POD_IPS"] = record.addresses.map(\.description).joined(separator: ",")
    let path = ContainerCommand.search(program, in: variables["PATH"] ?? "/usr/bin:/bin") ?? program
    // Ignored signals stay ignored in the new program.
    signal(SIGPIPE, SIG_DFL)
    let failure = withCStrings(command) { arguments in
      withCStrings(variables.map { "\($0.key)=\($0.value)" }) { environment in
        execve(path, arguments, environment)
        return errno
      }
    }
    throw .execute(command: program, errno: failure)
  }
}
