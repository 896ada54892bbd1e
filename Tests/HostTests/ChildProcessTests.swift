import Glibc
import Logging
import TestSupport
import Testing

@testable import Host

/// The agent and the proxy as `up` keeps them, with a shell in their place.
@Suite struct ChildProcessTests {
  private func child(_ script: String) -> ChildProcess {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return ChildProcess(
      name: "child", program: "/bin/sh", arguments: ["-c", script],
      pidFile: "\(TemporaryDirectory.root)/martlet-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).pid", logger: logger
    )
  }

  private func pid(of child: ChildProcess, not old: pid_t = 0) async throws -> pid_t {
    for _ in 0..<2000 {
      if child.pid != 0, child.pid != old { return child.pid }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("no process")
    return 0
  }

  @Test func `it is started again`() async throws {
    let child = child("exec sleep 1000")
    let run = Task { await child.run() }
    let first = try await pid(of: child)
    kill(first, SIGKILL)
    let second = try await pid(of: child, not: first)
    #expect(second != 0)
    child.stop()
    await run.value
    #expect(child.pid == 0 && kill(second, 0) != 0)
  }

  @Test func `what ignores SIGTERM is killed`() async throws {
    let child = child("trap '' TERM; while :; do sleep 0.05; done")
    let run = Task { await child.run() }
    let pid = try await pid(of: child)
    try await Task.sleep(for: .milliseconds(200))
    let start = ContinuousClock.now
    child.stop(grace: .milliseconds(300))
    await run.value
    #expect((.milliseconds(250)...Duration.seconds(5)).contains(.now - start))
    #expect(kill(pid, 0) != 0)
  }

  @Test func `a stop does not wait for the next life`() async throws {
    let child = child("exit 1")
    let run = Task { await child.run() }
    // By now the pauses between two lives are longer than what is left.
    try await Task.sleep(for: .milliseconds(1500))
    let start = ContinuousClock.now
    child.stop()
    await run.value
    #expect(.now - start < .milliseconds(500))
  }
}
