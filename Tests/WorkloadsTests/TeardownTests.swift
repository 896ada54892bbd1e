import CNI
import Files
import Glibc
import JSON
import Testing

@testable import Workloads

/// What becomes of a Pod whose sandbox can not be made or removed at once, and of one that outlives the runtime.
@Suite(.serialized, .enabled(if: RuntimeLab.isPossible(), "needs root and a cgroup2 mount")) struct TeardownTests {
  private func lab() throws -> RuntimeLab {
    var lab = try RuntimeLab()
    lab.configuration.teardownPauses = 5...40
    return lab
  }

  @Test func `a sandbox that does not go is removed sooner or later, and the status says so meanwhile`() async throws {
    try await lab().run { lab in
      await lab.api.put(RuntimeLab.pod("a", "exec sleep 1000"))
      _ = try await lab.waitForPhase("a", "Running")
      let record = try #require(try lab.record("a"))
      try lab.fail(deletes: 20)
      await lab.api.delete("a", grace: 5)
      let pod = try await lab.wait("a") { $0?[path: "status", "reason"] == "TeardownFailed" }
      #expect(pod?[path: "status", "message"]?.stringValue?.contains("the device is busy") == true)
      try await lab.wait("a") { $0 == nil }
      #expect(!StateFiles.exists(record.netns))
      #expect(lab.calls() == ["ADD"] + Array(repeating: "DEL", count: 21))
    }
  }

  @Test func `the sandbox of a Pod that has ended is given back as well`() async throws {
    let lab = try lab()
    try lab.fail(deletes: 12)
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", "exit 0"))
      let pod = try await lab.wait("a") {
        lab.calls().count == 14 && $0?[path: "status", "phase"] == "Succeeded"
          && $0?[path: "status", "reason"]?.stringValue == nil
      }
      #expect(pod?.containerStatus?[path: "state", "terminated", "reason"] == "Completed")
      #expect(try lab.namespaces().isEmpty)
    }
  }

  @Test func `half a sandbox is removed before it is made again`() async throws {
    let lab = try lab()
    try lab.fail(adds: 1, deletes: 1)
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", "exec sleep 1000"))
      _ = try await lab.waitForPhase("a", "Running")
      #expect(lab.calls() == ["ADD", "DEL", "DEL", "ADD"])
      #expect(try lab.namespaces().count == 1)
    }
  }

  @Test func `a Pod that never got its sandbox leaves nothing when it is deleted`() async throws {
    let lab = try lab()
    try lab.fail(adds: 1000, deletes: 2)
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", "exec sleep 1000"))
      try await lab.wait("a") { _ in lab.calls().count >= 3 }
      await lab.api.delete("a", grace: 5)
      try await lab.wait("a") { $0 == nil }
      #expect(try lab.namespaces().isEmpty && PodRecordStore(stateDirectory: lab.directory.path).load().records.isEmpty)
    }
  }

  @Test(arguments: [("Always", "Running"), ("OnFailure", "Running"), ("Never", "Failed")])
  func `a runtime that stops leaves what is to be restarted to the next one`(
    _ restart: String, _ phase: String
  ) async throws {
    let lab = try lab()
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", "exec sleep 1000", restart: restart))
      _ = try await lab.waitForPhase("a", "Running")
    }
    let pod = try #require(await lab.api.pod("a"))
    #expect(pod[path: "status", "phase"] == .string(phase))
    #expect(pod.condition("Ready") == "False")
  }

  @Test(arguments: [("exit 0", "Succeeded"), ("exit 3", "Failed")])
  func `a runtime that stops does not touch the end that a Pod came to by itself`(
    _ script: String, _ phase: String
  ) async throws {
    let lab = try lab()
    try await lab.run { lab in
      await lab.api.put(RuntimeLab.pod("a", script))
      _ = try await lab.waitForPhase("a", phase)
    }
    let ended = try #require(await lab.api.pod("a"))
    #expect(ended[path: "status", "phase"] == .string(phase))
    #expect(ended[path: "status", "reason"]?.stringValue == nil)
    // Neither does the next one, which finds it ended.
    var next = try self.lab()
    next.configuration.teardownPauses = 5...40
    await next.api.put(ended)
    try await next.run { lab in
      await lab.api.put(RuntimeLab.pod("b", "exec sleep 1000"))
      _ = try await lab.waitForPhase("b", "Running")
    }
    #expect(await next.api.pod("a") == ended)
  }
}
