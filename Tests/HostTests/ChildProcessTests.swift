import Files
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

  // MARK: Another in its place

  /// With the argument `take`, it says in a file that it has the place; with `fail` it ends at once.
  private func replaceable() throws -> (child: ChildProcess, file: String) {
    let file = "\(TemporaryDirectory.root)/martlet-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).serving"
    return (
      child("case $0 in take) echo $$ > \(file);; fail) exit 7;; esac; exec sleep 1000"), file
    )
  }

  private func replace(_ child: ChildProcess, _ file: String, _ word: String, within limit: Duration = .seconds(20))
    async throws -> ChildProcess.Replaced
  {
    try await child.replace(further: [word], within: limit) { pid in
      let content = try? StateFiles.readIfPresent(file)
      return content.map { String(decoding: $0, as: UTF8.self) } == "\(pid)\n"
    }
  }

  @Test func `another takes its place, and is kept running from then on`() async throws {
    let (child, file) = try replaceable()
    defer { unlink(file) }
    let run = Task { await child.run() }
    let first = try await pid(of: child)
    let replaced = try await replace(child, file, "take")
    #expect(replaced.old == first && replaced.new == child.pid && replaced.new != first)
    // The first one ends when it likes, and is not started again.
    #expect(kill(first, 0) == 0)
    kill(first, SIGTERM)
    for _ in 0..<2000 where kill(first, 0) == 0 { try await Task.sleep(for: .milliseconds(10)) }
    #expect(kill(first, 0) != 0 && child.pid == replaced.new)
    kill(replaced.new, SIGKILL)
    let third = try await pid(of: child, not: replaced.new)
    let again = try await replace(child, file, "take")
    child.stop()
    await run.value
    for pid in [third, again.new] { #expect(kill(pid, 0) != 0) }
  }

  @Test func `one that fails, or takes too long, changes nothing`() async throws {
    let (child, file) = try replaceable()
    let run = Task { await child.run() }
    let first = try await pid(of: child)
    let failure = await #expect(throws: ReplacementError.self) { try await replace(child, file, "fail") }
    #expect("\(failure, default: "")".contains("exit code 7"))
    await #expect(throws: ReplacementError.slow("child", .milliseconds(200), old: first)) {
      try await replace(child, file, "sleep", within: .milliseconds(200))
    }
    #expect(child.pid == first && kill(first, 0) == 0)
    child.stop()
    await run.value
    await #expect(throws: ReplacementError.notRunning("child")) { try await replace(child, file, "take") }
  }

  @Test func `the death of the old one waits for what becomes of the new one`() async throws {
    let (child, file) = try replaceable()
    defer { unlink(file) }
    let run = Task { await child.run() }
    let first = try await pid(of: child)
    let task = Task { try await replace(child, file, "wait") }
    let new = try await eventualChild(not: first, of: child)
    kill(first, SIGKILL)
    try StateFiles.write(Array("\(new)\n".utf8), to: file)
    #expect(try await task.value == .init(old: first, new: new))
    #expect(child.pid == new)
    child.stop()
    await run.value
  }

  private func eventualChild(not first: pid_t, of child: ChildProcess) async throws -> pid_t {
    for _ in 0..<2000 {
      if let candidate = child.candidate, candidate != first { return candidate }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("no candidate")
    return 0
  }
}
