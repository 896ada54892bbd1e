import CLinux
import CNI
import Files
import Glibc
import Netlink

/// A process that runs, or ran, for a container.
struct ContainerProcess: Sendable {
  let pid: Int32
  /// In clock ticks since boot.
  let start: UInt64

  /// Starts `command` in the namespace and the cgroup, with both outputs at the end of the log. Blocks shortly.
  static func start(
    _ command: ContainerCommand, netns: String, cgroup: Cgroup, log: String
  ) throws(WorkloadError) -> ContainerProcess {
    let namespace: NetworkNamespace
    do { namespace = try NetworkNamespace(path: netns) } catch { throw .netlink(error) }
    let output = try open(log, O_WRONLY | O_CREAT | O_APPEND)
    defer { close(output) }
    let procs = try open(cgroup.procsPath, O_WRONLY)
    defer { close(procs) }
    var pid: pid_t = 0
    var step: Int32 = 0
    let status = withCStrings(command.arguments) { arguments in
      withCStrings(command.environment) { environment in
        clinux_spawn(
          command.path, arguments, environment, command.workingDirectory, output, output, namespace.fileDescriptor,
          procs, UInt32(CLINUX_SPAWN_NEW_SESSION.rawValue), &pid, &step)
      }
    }
    guard status == 0 else {
      throw .spawn(step: name(ofStep: step), command: command.path, errno: -status)
    }
    // Not yet reaped, so it has an entry in /proc even if it has ended already.
    return ContainerProcess(pid: pid, start: PodRecord.startTime(of: pid) ?? 0)
  }

  private static func open(_ path: String, _ flags: Int32) throws(WorkloadError) -> Int32 {
    let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw .file(FileError("open", path, errno: errno)) }
    return descriptor
  }

  private static func name(ofStep step: Int32) -> String {
    switch UInt32(bitPattern: step) {
    case CLINUX_SPAWN_STEP_FORK.rawValue: "fork"
    case CLINUX_SPAWN_STEP_CGROUP.rawValue: "join cgroup"
    case CLINUX_SPAWN_STEP_NETNS.rawValue: "join network namespace"
    case CLINUX_SPAWN_STEP_SESSION.rawValue: "new session"
    case CLINUX_SPAWN_STEP_DESCRIPTORS.rawValue: "standard descriptors"
    case CLINUX_SPAWN_STEP_DIRECTORY.rawValue: "working directory"
    default: "execute"
    }
  }
}

extension WorkloadError {
  /// Worth another attempt by itself: everything but what the Pod's own text is to blame for.
  var isPermanent: Bool {
    switch self {
    case .invalidPod, .spawn: true
    case .file, .noCgroup2, .netlink, .plugin, .pluginDied: false
    }
  }
}
