import CNI
import Files
import Glibc
import JSON
import Testing

@testable import Workloads

/// Pods as real processes in real namespaces and cgroups.
@Suite(.serialized, .enabled(if: RuntimeLab.isPossible(), "needs root and a cgroup2 mount")) struct PodRuntimeTests {
  @Test(
    arguments: [
      ("exit 0", "Never", "Succeeded", 0, "Completed"), ("exit 3", "Never", "Failed", 3, "Error"),
      ("kill -9 $$$$", "Never", "Failed", 137, "Error"), ("exit 0", "OnFailure", "Succeeded", 0, "Completed"),
    ] as [(String, String, String, Int64, String)])
  func ends(script: String, restart: String, phase: String, code: Int64, reason: String) async throws {
    try await RuntimeLab().run { lab in
      await lab.api.put(RuntimeLab.pod("a", "echo hello $POD_NAME $POD_IP $POD_IPS; \(script)", restart: restart))
      let pod = try await lab.waitForPhase("a", phase)
      let terminated = pod.containerStatus?[path: "state", "terminated"]
      #expect(terminated?["exitCode"]?.integerValue == code)
      #expect(terminated?["reason"] == .string(reason))
      #expect(pod.condition("Ready") == "False")
      #expect(lab.log("a") == "hello a 10.0.0.9 10.0.0.9,fd00::9\n")
      // The sandbox of what has ended is given back at once.
      #expect(lab.calls() == ["ADD", "DEL"])
      #expect(try lab.namespaces().isEmpty)
    }
  }

  @Test func runsUntilDeleted() async throws {
    try await RuntimeLab().run { lab in
      await lab.api.put(RuntimeLab.pod("a", "sleep 1000 & exec sleep 1000"))
      let pod = try await lab.waitForPhase("a", "Running")
      #expect(pod[path: "status", "podIP"] == "10.0.0.9")
      #expect(pod[path: "status", "podIPs"] == [["ip": "10.0.0.9"], ["ip": "fd00::9"]])
      #expect(["PodScheduled", "Initialized", "ContainersReady", "Ready"].allSatisfy { pod.condition($0) == "True" })
      let record = try #require(try lab.record("a"))
      #expect(record.isProcessAlive)
      let processes = Cgroup(path: record.cgroup).processes
      #expect(processes.contains(record.pid))
      await lab.api.delete("a", grace: 30)
      try await lab.wait("a", seconds: 3) { $0 == nil }
      #expect(await lab.api.removed == ["a"])
      #expect(!record.isProcessAlive)
      #expect(!StateFiles.exists(record.cgroup) && !StateFiles.exists(record.netns) && !StateFiles.exists(record.log))
      #expect(lab.calls() == ["ADD", "DEL"])
    }
  }

  @Test func aProcessThatIgnoresSIGTERMIsKilledAfterItsGracePeriod() async throws {
    try await RuntimeLab().run { lab in
      await lab.api.put(RuntimeLab.pod("a", "trap '' TERM; echo ready; while :; do sleep 1; done"))
      try await lab.wait("a") { _ in lab.log("a") == "ready\n" }
      let start = ContinuousClock.now
      await lab.api.delete("a", grace: 1)
      try await lab.wait("a") { $0 == nil }
      #expect((.milliseconds(900)...Duration.seconds(4)).contains(.now - start))
    }
  }

  @Test func aForcedDeletionKillsAtOnce() async throws {
    try await RuntimeLab().run { lab in
      await lab.api.put(RuntimeLab.pod("a", "trap '' TERM; while :; do sleep 1; done"))
      _ = try await lab.waitForPhase("a", "Running")
      let record = try #require(try lab.record("a"))
      await lab.api.drop("a")
      try await lab.wait("a") { _ in !StateFiles.exists(record.netns) }
      #expect(!record.isProcessAlive)
    }
  }

  @Test func failuresAreTriedAgain() async throws {
    try await RuntimeLab().run { lab in
      let script = "cd \(lab.directory.path); echo x >> tries; test $(wc -l < tries) -ge 3"
      await lab.api.put(RuntimeLab.pod("a", script, restart: "OnFailure"))
      let pod = try await lab.waitForPhase("a", "Succeeded")
      #expect(pod.containerStatus?["restartCount"] == 2)
      #expect(pod.containerStatus?[path: "lastState", "terminated", "exitCode"] == 1)
      // The sandbox outlives restarts of the container.
      #expect(lab.calls() == ["ADD", "DEL"])
    }
  }

  @Test func readyOnceThePortIsServed() async throws {
    try await RuntimeLab().run { lab in
      let server = """
        sleep 0.3; exec perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); \
        bind(S, sockaddr_in(9080, INADDR_ANY)) || die; listen(S, 5); sleep 1000'
        """
      await lab.api.put(RuntimeLab.pod("a", server, ports: [9080]))
      let pod = try await lab.waitForPhase("a", "Running")
      #expect(pod.condition("Ready") == "False")
      try await lab.wait("a") { $0?.condition("Ready") == "True" }
      #expect(await lab.api.history["a"] == ["Running", "Running+ready"])
    }
  }

  @Test func thePluginIsAskedAgain() async throws {
    let lab = try RuntimeLab()
    try lab.fail(adds: 2)
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", "sleep 1000"))
      let pod = try await lab.wait("a") { $0?[path: "status", "phase"] == "Pending" }
      #expect(
        pod?.containerStatus?[path: "state", "waiting", "message"]?.stringValue?.contains("can not be reached") == true)
      _ = try await lab.waitForPhase("a", "Running")
      #expect(lab.calls() == ["ADD", "DEL", "ADD", "DEL", "ADD"])
    }
  }

  @Test(
    arguments: [
      ("/no/such/program", 127, "execute"), ("no-such-program", 127, "PATH"), ("/etc/passwd", 126, "execute"),
    ] as [(String, Int64, String)])
  func programsThatCanNotStart(program: String, code: Int64, word: String) async throws {
    try await RuntimeLab().run { lab in
      var pod = RuntimeLab.pod("a", "")
      pod["spec"]?["containers"] = [["name": "main", "command": [.string(program)]]]
      await lab.api.put(pod)
      let failed = try await lab.waitForPhase("a", "Failed")
      let terminated = failed.containerStatus?[path: "state", "terminated"]
      #expect(terminated?["exitCode"]?.integerValue == code)
      #expect(terminated?["message"]?.stringValue?.contains(word) == true)
    }
  }

  @Test(
    arguments: [
      (["spec", "hostNetwork"], true, "spec.hostNetwork"),
      (["spec", "restartPolicy"], "Sometimes", "spec.restartPolicy"),
      (["spec", "containers"], [], "spec.containers"),
    ] as [([String], JSONValue, String)])
  func podsThatCanNotRunHere(path: [String], value: JSONValue, field: String) async throws {
    try await RuntimeLab().run { lab in
      var pod = RuntimeLab.pod("a", "exit 0")
      pod[path[0]]?[path[1]] = value
      await lab.api.put(pod)
      let failed = try await lab.waitForPhase("a", "Failed")
      #expect(failed[path: "status", "message"]?.stringValue?.hasPrefix(field) == true)
      await lab.api.delete("a", grace: 30)
      try await lab.wait("a") { $0 == nil }
    }
  }

  @Test func stoppingEndsEverything() async throws {
    let lab = try RuntimeLab()
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", "exec sleep 1000"))
      await lab.api.put(RuntimeLab.pod("b", "trap '' TERM; while :; do sleep 1; done", restart: "Always"))
      for name in ["a", "b"] { _ = try await lab.waitForPhase(name, "Running") }
    }
    let pod = try #require(await lab.api.pod("a"))
    #expect(pod[path: "status", "phase"] == "Failed")
    #expect(pod[path: "status", "reason"] == "Terminated")
    #expect(await lab.api.removed.isEmpty)
  }

  @Test func aCrashedRuntimesProcessesAreAdopted() async throws {
    let lab = try RuntimeLab()
    let adopted = RuntimeLab.pod("adopted", "exec sleep 1000")
    let lost = RuntimeLab.pod("lost", "exec sleep 1000")
    let kept = try lab.leave(adopted)
    let orphan = try lab.leave(lost)
    var running = adopted
    running["status"] = ["phase": "Running", "startTime": "2026-01-01T00:00:00Z"]
    await lab.api.put(running)
    try await lab.run { lab in
      try await lab.wait("adopted") { $0?.condition("Ready") == "True" }
      #expect(try lab.record("adopted")?.pid == kept.pid)
      #expect(kept.isProcessAlive)
      #expect(!orphan.isProcessAlive && !StateFiles.exists(orphan.netns) && !StateFiles.exists(orphan.cgroup))
      #expect(lab.calls() == ["DEL"])
      await lab.api.delete("adopted", grace: 5)
      try await lab.wait("adopted", seconds: 3) { $0 == nil }
      #expect(!kept.isProcessAlive)
    }
  }

  @Test(arguments: [("Never", "Failed"), ("Always", "Running")])
  func aProcessThatDiedUnobserved(restart: String, phase: String) async throws {
    let lab = try RuntimeLab()
    var pod = RuntimeLab.pod("a", "exec sleep 1000", restart: restart)
    let record = try lab.leave(pod)
    kill(record.pid, SIGKILL)
    waitpid(record.pid, nil, 0)
    pod["status"] = ["phase": .string("Running")]
    await lab.api.put(pod)
    try await lab.run { lab in
      let pod = try #require(
        try await lab.wait("a") {
          $0?[path: "status", "phase"] == .string(phase)
            && $0?.condition("Ready") == (phase == "Failed" ? "False" : "True")
        })
      let ended = pod.containerStatus?[path: phase == "Failed" ? "state" : "lastState", "terminated"]
      #expect(ended?["reason"] == "ContainerStatusUnknown")
    }
  }

  @Test func manyPods() async throws {
    let count = 100
    try await RuntimeLab().run { lab in
      let start = ContinuousClock.now
      for index in 0..<count { await lab.api.put(RuntimeLab.pod("p\(index)", "exec sleep 1000")) }
      for index in 0..<count { try await lab.wait("p\(index)", seconds: 60) { $0?.condition("Ready") == "True" } }
      let started = ContinuousClock.now
      let threads = try StateFiles.list("/proc/self/task").count
      for index in 0..<count { await lab.api.delete("p\(index)", grace: 5) }
      for index in 0..<count { try await lab.wait("p\(index)", seconds: 60) { $0 == nil } }
      print("\(count) pods: ready in \(started - start), gone in \(ContinuousClock.now - started), \(threads) threads")
      #expect(threads < 40)
    }
  }
}

extension RuntimeLab {
  /// What a runtime that crashed leaves of a Pod that ran.
  func leave(_ document: JSONValue) throws -> PodRecord {
    let workload = try Workload(JSONCursor(document))
    let folder = try Cgroup.systemMountPoint()
    var record = PodRecord(
      uid: workload.uid, namespace: workload.namespace, name: workload.name,
      netns: "/run/netns/\(configuration.namespaceName(uid: workload.uid))",
      cgroup: "\(configuration.cgroupFolder(mountPoint: folder))/\(workload.uid)",
      log: "\(directory.path)/\(workload.name).log", pid: 0, processStart: 0, addresses: [],
      startTime: "2026-01-01T00:00:00Z", containerStartTime: "2026-01-01T00:00:00Z", restartCount: 0, gracePeriod: 5)
    let store = PodRecordStore(stateDirectory: directory.path)
    _ = try PodSandbox(runner: CNIRunner(command: configuration.plugin, agentSocket: ""), store: store).create(record)
    try StateFiles.remove(directory.path + "/calls")
    let command = try ContainerCommand(workload, addresses: [], hostAddress: nil, inherited: [:])
    let process = try ContainerProcess.start(
      command, netns: record.netns, cgroup: Cgroup(path: record.cgroup), log: record.log)
    record.pid = process.pid
    record.processStart = process.start
    try store.save(record)
    return record
  }
}
