import Addressing

/// What the runtime of a node has to know.
public struct PodRuntimeConfiguration: Sendable {
  public var stateDirectory: String
  /// Eight hexadecimal digits that tell this state directory's cgroups and namespaces from those of other instances.
  public var instance: String
  public var nodeName: String
  /// Told as `status.hostIPs`; the first is `status.hostIP`.
  public var hostAddresses: [IPAddress]
  /// The CNI plugin: a program and its first arguments, such as `["/usr/bin/martlet", "cni"]`.
  public var plugin: [String]
  /// Variables of which workloads inherit some, such as PATH.
  public var environment: [String: String]
  /// The most seconds that workloads get to end when the runtime stops; a Pod's own grace period if that is shorter.
  public var stopGracePeriod: Int64
  /// Pods that are being set up or torn down at the same time.
  public var concurrency: Int
  /// The first and the longest pause between attempts to remove a sandbox, in milliseconds.
  public var teardownPauses: ClosedRange<Int64> = 100...30_000

  public init(
    stateDirectory: String, instance: String, nodeName: String, hostAddresses: [IPAddress], plugin: [String],
    environment: [String: String], stopGracePeriod: Int64 = 5, concurrency: Int = 4
  ) {
    self.stateDirectory = stateDirectory
    self.instance = instance
    self.nodeName = nodeName
    self.hostAddresses = hostAddresses
    self.plugin = plugin
    self.environment = environment
    self.stopGracePeriod = stopGracePeriod
    self.concurrency = concurrency
  }

  /// Where container logs are: `DIR/logs/<namespace>_<name>.log`.
  public static func logPath(stateDirectory: String, namespace: String, name: String) -> String {
    "\(stateDirectory)/logs/\(namespace)_\(name).log"
  }

  /// `martlet-<instance>-<first 8 digits of the uid>`: the name below /run/netns.
  func namespaceName(uid: String) -> String { namespacePrefix + uid.filter { $0 != "-" }.prefix(8) }

  var namespacePrefix: String { "martlet-\(instance)-" }

  public func cgroupFolder(mountPoint: String) -> String { "\(mountPoint)/martlet-\(instance)" }
}
