import CNI
import Files
import JSON
import Logging

/// The node's part of Pods: runs those that are bound to it as processes of the host, each in a network namespace and a cgroup of
/// its own, through the same CNI path that a kubelet uses, and keeps their status true.
///
/// Processes outlive a crash of the runtime; the next one adopts them by its records. A runtime that is stopped (its task is
/// cancelled) ends them all.
public struct PodRuntime: Sendable {
  private let configuration: PodRuntimeConfiguration
  private let api: any PodAPI
  private let logger: Logger

  public init(configuration: PodRuntimeConfiguration, api: any PodAPI, logger: Logger) {
    self.configuration = configuration
    self.api = api
    self.logger = logger
  }

  /// Runs until the task is cancelled; returns when all workloads have ended and are cleaned up. Throws at once when the
  /// machine lacks what it needs.
  public func run() async throws(WorkloadError) {
    let cgroups = configuration.cgroupFolder(mountPoint: try Cgroup.systemMountPoint())
    let store = PodRecordStore(stateDirectory: configuration.stateDirectory)
    let context: PodContext
    do throws(FileError) {
      for folder in ["pods", "logs"] { try StateFiles.makeDirectories("\(configuration.stateDirectory)/\(folder)") }
      try StateFiles.makeDirectories(cgroups, mode: 0o755)
      let runner = CNIRunner(
        command: configuration.plugin, agentSocket: StateDirectory(configuration.stateDirectory).agentSocket)
      context = PodContext(
        configuration: configuration, api: api, pool: BlockingPool(threads: configuration.concurrency),
        watcher: try ProcessWatcher(), store: store, sandbox: PodSandbox(runner: runner, store: store),
        cgroups: cgroups, logger: logger)
    } catch {
      throw .file(error)
    }
    let pods = PodTable(context: context)
    await api.watch(nodeName: configuration.nodeName) { await pods.apply($0) }
    await pods.stop()
    try? Cgroup(path: cgroups).destroy()
  }
}
