import Addressing
import CNI
import JSON
import Testing

@testable import Workloads

@Suite struct ListeningPortsTests {
  static let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

  @Test(
    arguments: [
      ("   0: 00000000:2378 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1", [9080]),
      ("   0: 0100007F:2378 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1", []),
      ("   0: 0900000A:2378 0100000A:C001 01 00000000:00000000 00:00000000 00000000     0        0 1", []),
      ("   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0", [80]),
      ("   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0", []),
      ("garbage", []), ("", []),
    ] as [(String, Set<UInt16>)])
  func tables(line: String, ports: Set<UInt16>) {
    #expect(ListeningPorts.parse(ListeningPortsTests.head + line + "\n") == ports)
  }
}

@Suite struct CgroupTests {
  @Test(
    arguments: [
      (
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n",
        "/sys/fs/cgroup/unified"
      ),
      ("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup"),
      ("32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n", nil), ("", nil),
    ] as [(String, String?)])
  func mountPoints(text: String, path: String?) {
    #expect(Cgroup.mountPoint(mountinfo: text) == path)
  }
}

@Suite struct ContainerCommandTests {
  @Test(arguments: ["echo $$", "$(HOME)", "$$(HOME)", "$", "a$b$", "$$$(X)$", "plain", ""])
  func escapedWordsComeBack(_ word: String) {
    #expect(ContainerCommand.expand(ContainerCommand.escape(word), ["HOME": "/root", "X": "y"]) == word)
  }

  func command(_ container: JSONValue, environment: [String: String] = ["PATH": "/bin:/usr/bin"]) throws
    -> ContainerCommand
  {
    let pod: JSONValue = [
      "metadata": ["name": "web", "namespace": "shop", "uid": "u1"],
      "spec": ["nodeName": "n", "containers": [container]],
    ]
    return try ContainerCommand(
      Workload(JSONCursor(pod)), addresses: [#require(IPAddress("10.0.0.2")), #require(IPAddress("fd00::2"))],
      hostAddress: IPAddress("192.0.2.1"), inherited: environment
    ) { $0 == "/usr/bin/serve" }
  }

  @Test(
    arguments: [
      (["serve", "a"], "/usr/bin/serve"), (["/opt/serve"], "/opt/serve"), (["./serve"], "/srv/./serve"),
    ] as [([String], String)])
  func programs(words: [String], path: String) throws {
    let command = try command([
      "name": "main", "command": .array(words.map { .string($0) }), "args": ["x"], "workingDir": "/srv",
    ])
    #expect(command.path == path)
    #expect(command.arguments == words + ["x"])
    #expect(command.workingDirectory == "/srv")
  }

  @Test(arguments: [
    ("plain", "plain"), ("$(POD_NAME)", "web"), ("a-$(POD_NAMESPACE)-b", "a-shop-b"), ("$$(POD_NAME)", "$(POD_NAME)"),
    ("$(NOBODY)", "$(NOBODY)"), ("$(", "$("), ("$HOME", "$HOME"), ("100$", "100$"), ("$(GREETING)", "hello web"),
  ])
  func references(argument: String, expected: String) throws {
    let command = try command([
      "name": "main", "command": ["serve", .string(argument)],
      "env": [["name": "GREETING", "value": "hello $(POD_NAME)"]],
    ])
    #expect(command.arguments.last == expected)
  }

  @Test func environment() throws {
    let command = try command([
      "name": "main", "command": ["serve"],
      "env": [
        ["name": "A", "value": "1"], ["name": "NODE", "valueFrom": ["fieldRef": ["fieldPath": "spec.nodeName"]]],
        ["name": "HOST", "valueFrom": ["fieldRef": ["fieldPath": "status.hostIP"]]],
      ],
    ])
    #expect(
      command.environment == [
        "A=1", "HOST=192.0.2.1", "HOSTNAME=web", "NODE=n", "PATH=/bin:/usr/bin", "POD_IP=10.0.0.2",
        "POD_IPS=10.0.0.2,fd00::2", "POD_NAME=web", "POD_NAMESPACE=shop",
      ])
  }

  @Test func whatCanNotBe() {
    #expect(throws: WorkloadError.self) { try command(["name": "main", "image": "nginx"]) }
    #expect(throws: WorkloadError.self) { try command(["name": "main", "command": ["nothing"]]) }
    #expect(throws: FieldError.self) {
      try command([
        "name": "main", "command": ["serve"], "env": [["name": "A", "valueFrom": ["secretKeyRef": [:]]]],
      ])
    }
  }
}

@Suite struct WorkloadStatusTests {
  static func workload() throws -> Workload {
    try Workload(
      JSONCursor([
        "metadata": ["name": "a", "uid": "u1"],
        "spec": ["nodeName": "n", "containers": [["name": "main"], ["name": "sidecar"]]],
      ]))
  }

  @Test func transitionTimesMoveOnlyWithTheCondition() throws {
    let workload = try WorkloadStatusTests.workload()
    var status = WorkloadStatus()
    status.container = .running(startedAt: "T0")
    func since(_ patch: JSONValue, _ type: String) -> JSONValue? {
      patch[path: "status", "conditions"]?.arrayValue?.first { $0["type"] == .string(type) }?["lastTransitionTime"]
    }
    #expect(since(status.patch(for: workload, now: "T1"), "Ready") == "T1")
    #expect(since(status.patch(for: workload, now: "T2"), "Ready") == "T1")
    status.ready = true
    let patch = status.patch(for: workload, now: "T3")
    #expect(since(patch, "Ready") == "T3")
    #expect(since(patch, "PodScheduled") == "T1")
    // What a later runtime reads back goes on from there.
    var restored = WorkloadStatus()
    restored.restore(from: patch)
    restored.container = .running(startedAt: "T0")
    #expect(since(restored.patch(for: workload, now: "T4"), "Ready") == "T3")
  }

  @Test(
    arguments: [
      (WorkloadStatus.ContainerState.waiting(reason: "ContainerCreating", message: ""), 0, false, "Pending"),
      (.waiting(reason: "CrashLoopBackOff", message: ""), 1, false, "Running"),
      (.waiting(reason: "NodeRestarted", message: ""), 0, true, "Failed"),
      (.running(startedAt: ""), 0, false, "Running"),
      (.terminated(.init(.code(0), startedAt: "", finishedAt: "")), 0, true, "Succeeded"),
      (.terminated(.init(.signal(9), startedAt: "", finishedAt: "")), 0, true, "Failed"),
      (.terminated(.init(.unknown, startedAt: "", finishedAt: "")), 0, true, "Failed"),
    ] as [(WorkloadStatus.ContainerState, Int64, Bool, String)])
  func phases(state: WorkloadStatus.ContainerState, restarts: Int64, isFinal: Bool, phase: String) {
    var status = WorkloadStatus()
    status.container = state
    status.restartCount = restarts
    status.isFinal = isFinal
    #expect(status.phase == phase)
  }

  @Test func containersThatDoNotRunSaySo() throws {
    var status = WorkloadStatus()
    let patch = status.patch(for: try WorkloadStatusTests.workload(), now: "T")
    let second = patch[path: "status", "containerStatuses"]?.arrayValue?.last
    #expect(second?["name"] == "sidecar")
    #expect(second?[path: "state", "waiting", "reason"] == "NotSupported")
    // Nothing to say removes what was said.
    #expect(patch[path: "status", "message"] == .null)
  }
}
