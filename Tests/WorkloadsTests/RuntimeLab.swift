import CNI
import Files
import Glibc
import JSON
import Logging
import TestSupport
import Testing

@testable import Workloads

/// A runtime over a fake API and a plugin that is a shell script; everything is removed at the end of `run`.
struct RuntimeLab: Sendable {
  let directory: TemporaryDirectory
  let api = FakePodAPI()
  var configuration: PodRuntimeConfiguration

  init() throws {
    directory = try TemporaryDirectory()
    let script = """
      #!/bin/sh
      cat > /dev/null
      dir=${0%/*}
      echo "$CNI_COMMAND $CNI_CONTAINERID" >> "$dir/calls"
      case $CNI_COMMAND in
      ADD)
        test -e "$CNI_NETNS" || exit 9
        if [ -s "$dir/failures" ]; then
          sed -i 1d "$dir/failures"
          echo '{"cniVersion":"1.1.0","code":11,"msg":"the agent can not be reached"}'
          exit 1
        fi
        echo '{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.9/32"},{"address":"fd00::9/128"}]}' ;;
      DEL)
        if [ -s "$dir/delete-failures" ]; then
          sed -i 1d "$dir/delete-failures"
          echo '{"cniVersion":"1.1.0","code":5,"msg":"the device is busy"}'
          exit 1
        fi ;;
      esac
      """
    let plugin = directory.path + "/plugin"
    try StateFiles.write(Array(script.utf8), to: plugin, mode: 0o755)
    configuration = PodRuntimeConfiguration(
      stateDirectory: directory.path, instance: String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16),
      nodeName: "node", hostAddresses: [], plugin: [plugin], environment: ["PATH": "/usr/bin:/bin"],
      stopGracePeriod: 1)
  }

  /// Makes the next calls of the plugin fail: each line is one failure.
  func fail(adds: Int = 0, deletes: Int = 0) throws {
    for (name, count) in [("failures", adds), ("delete-failures", deletes)] where count > 0 {
      try StateFiles.write(Array(String(repeating: "x\n", count: count).utf8), to: "\(directory.path)/\(name)")
    }
  }

  static func isPossible() -> Bool { geteuid() == 0 && (try? Cgroup.systemMountPoint()) != nil }

  /// A Pod that runs a shell script.
  static func pod(
    _ name: String, _ script: String, restart: String = "Never", ports: [Int64] = [], uid: String? = nil
  ) -> JSONValue {
    let uid = uid ?? "\(hex())-\(name)"
    return [
      "metadata": ["name": .string(name), "namespace": "default", "uid": .string(uid)],
      "spec": [
        "nodeName": "node", "restartPolicy": .string(restart),
        "containers": [
          [
            "name": "main", "image": "host", "command": ["/bin/sh", "-c", .string(script)],
            "ports": .array(ports.map { ["containerPort": .integer($0)] }),
          ]
        ],
      ],
    ]
  }

  private static func hex() -> String {
    String(UInt32.random(in: 0x1000_0000...UInt32.max), radix: 16)
  }

  /// Runs the runtime around `body`, stops it and checks that nothing is left on the machine.
  func run(_ body: @Sendable (RuntimeLab) async throws -> Void) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let runtime = PodRuntime(configuration: configuration, api: api, logger: logger)
    let task = Task { try await runtime.run() }
    do {
      try await body(self)
    } catch {
      task.cancel()
      _ = await task.result
      throw error
    }
    task.cancel()
    try await task.value
    #expect(!StateFiles.exists(cgroups))
    #expect(try namespaces().isEmpty)
    #expect(try PodRecordStore(stateDirectory: directory.path).load().records.isEmpty)
  }

  var cgroups: String {
    configuration.cgroupFolder(mountPoint: (try? Cgroup.systemMountPoint()) ?? "/nowhere")
  }

  func namespaces() throws -> [String] {
    try StateFiles.list("/run/netns").filter { $0.hasPrefix(configuration.namespacePrefix) }
  }

  func calls() -> [String] {
    let text = (try? StateFiles.read(directory.path + "/calls")) ?? []
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map { String($0.prefix { $0 != " " }) }
  }

  func log(_ name: String) -> String {
    String(decoding: (try? StateFiles.read("\(directory.path)/logs/default_\(name).log")) ?? [], as: UTF8.self)
  }

  func record(_ name: String) throws -> PodRecord? {
    try PodRecordStore(stateDirectory: directory.path).find(namespace: "default", name: name)
  }

  /// Waits until the Pod's document (nil once it is gone) satisfies `condition`.
  @discardableResult
  func wait(
    _ name: String, seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation,
    until condition: (JSONValue?) -> Bool
  ) async throws -> JSONValue? {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
      let pod = await api.pod(name)
      if condition(pod) { return pod }
      if ContinuousClock.now > deadline {
        Issue.record("pod \(name) did not get there: \(pod?.text() ?? "gone")", sourceLocation: sourceLocation)
        struct TimedOut: Error {}
        throw TimedOut()
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  func waitForPhase(
    _ name: String, _ phase: String, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> JSONValue {
    try #require(
      try await wait(name, sourceLocation: sourceLocation) { $0?[path: "status", "phase"] == .string(phase) })
  }
}

extension JSONValue {
  var containerStatus: JSONValue? { self[path: "status", "containerStatuses"]?.arrayValue?.first }

  func condition(_ type: String) -> String? {
    self[path: "status", "conditions"]?.arrayValue?.first { $0["type"] == .string(type) }?["status"]?.stringValue
  }
}
