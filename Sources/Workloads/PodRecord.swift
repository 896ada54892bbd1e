import Addressing
import CNI
import Files
import Glibc
import JSON

/// What the runtime knows of a Pod that it runs, in `DIR/pods/<uid>.json`: enough to adopt the process after a crash of
/// the runtime, to clean up without the Pod, and for `exec` to enter it.
public struct PodRecord: Hashable, Sendable {
  public var uid: String
  public var namespace: String
  public var name: String
  /// Path of the network namespace.
  public var netns: String
  public var cgroup: String
  public var log: String
  /// 0 while no process runs.
  public var pid: Int32
  /// Start time of the process in clock ticks since boot (proc_pid_stat(5), field 22): tells it from a later process of the
  /// same number.
  public var processStart: UInt64
  public var addresses: [IPAddress]
  /// RFC 3339.
  public var startTime: String
  public var containerStartTime: String
  public var restartCount: Int64
  /// In seconds.
  public var gracePeriod: Int64

  public static let interfaceName = "eth0"

  /// The pod's container id towards CNI is its uid.
  public var sandbox: CNIRunner.Sandbox {
    CNIRunner.Sandbox(
      key: CNIAttachmentKey(containerID: uid, interfaceName: PodRecord.interfaceName), netns: netns,
      podNamespace: namespace, podName: name, podUID: uid)
  }

  /// Whether the recorded process still runs.
  public var isProcessAlive: Bool { pid > 0 && PodRecord.startTime(of: pid) == processStart }

  /// Field 22 of /proc/PID/stat; nil when there is no such process or it is a zombie.
  public static func startTime(of pid: Int32) -> UInt64? {
    guard let text = try? StateFiles.read("/proc/\(pid)/stat") else { return nil }
    // The command's name may hold anything, but the last parenthesis is its end; the state is what follows.
    let line = String(decoding: text, as: UTF8.self)
    guard let end = line.lastIndex(of: ")") else { return nil }
    let fields = line[line.index(after: end)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
    return UInt64(fields[19])
  }
}

extension PodRecord {
  public var json: JSONValue {
    [
      "uid": .string(uid), "namespace": .string(namespace), "name": .string(name), "netns": .string(netns),
      "cgroup": .string(cgroup), "log": .string(log), "pid": .integer(Int64(pid)),
      "processStart": .integer(Int64(clamping: processStart)),
      "addresses": .array(addresses.map { .string($0.description) }), "startTime": .string(startTime),
      "containerStartTime": .string(containerStartTime), "restartCount": .integer(restartCount),
      "gracePeriod": .integer(gracePeriod),
    ]
  }

  public init(_ cursor: JSONCursor) throws(FieldError) {
    func text(_ key: String) throws(FieldError) -> String { try cursor.required(key).string() }
    func number(_ key: String) throws(FieldError) -> Int64 { try cursor.required(key).integer() }
    var addresses: [IPAddress] = []
    for element in try cursor.required("addresses").elements() {
      guard let address = IPAddress(try element.string()) else { throw element.error("is not an IP address") }
      addresses.append(address)
    }
    self.init(
      uid: try text("uid"), namespace: try text("namespace"), name: try text("name"), netns: try text("netns"),
      cgroup: try text("cgroup"), log: try text("log"), pid: Int32(clamping: try number("pid")),
      processStart: UInt64(clamping: try number("processStart")), addresses: addresses,
      startTime: try text("startTime"),
      containerStartTime: try text("containerStartTime"), restartCount: try number("restartCount"),
      gracePeriod: try number("gracePeriod"))
  }
}

/// The records of a state directory.
public struct PodRecordStore: Sendable {
  public let directory: String

  public init(stateDirectory: String) { directory = stateDirectory + "/pods" }

  /// All that can be read; the names of files that can not.
  public func load() throws(FileError) -> (records: [PodRecord], broken: [String]) {
    var records: [PodRecord] = []
    var broken: [String] = []
    for name in try StateFiles.list(directory) {
      let path = directory + "/" + name
      if let record = try? PodRecord(JSONCursor(JSONValue(parsing: StateFiles.read(path)))) {
        records.append(record)
      } else {
        broken.append(path)
      }
    }
    return (records, broken)
  }

  public func save(_ record: PodRecord) throws(FileError) {
    try StateFiles.makeDirectories(directory)
    try StateFiles.write(record.json.serialized(), to: path(record.uid))
  }

  public func remove(uid: String) throws(FileError) { try StateFiles.remove(path(uid)) }

  /// The record of a Pod by its name; nil when the node runs none of that name.
  public func find(namespace: String, name: String) throws(FileError) -> PodRecord? {
    try load().records.first { $0.namespace == namespace && $0.name == name }
  }

  private func path(_ uid: String) -> String { "\(directory)/\(uid).json" }
}
