import CLinux
import Foundation
import Glibc
import Netlink
import Testing

/// clinux_spawn, through a shell whose output is read back.
@Suite struct SpawnTests {
  private struct Outcome {
    var result: Int32
    var step: Int32
    var status: Int32 = -1
    var output = ""
  }

  private func spawn(
    _ path: String, _ arguments: [String] = [], environment: [String] = ["A=b"], directory: String? = nil,
    netns: Int32 = -1, cgroup: Int32 = -1, flags: UInt32 = 0
  ) throws -> Outcome {
    let pipe = Pipe()
    var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for text in argv + envp { free(text) } }
    let writer = pipe.fileHandleForWriting.fileDescriptor
    var pid: pid_t = -1
    var step: Int32 = -1
    let result = clinux_spawn(path, &argv, &envp, directory, writer, writer, netns, cgroup, flags, &pid, &step)
    try pipe.fileHandleForWriting.close()
    var outcome = Outcome(result: result, step: step)
    guard result == 0 else { return outcome }
    outcome.output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(waitpid(pid, &outcome.status, 0) == pid)
    return outcome
  }

  @Test func codeThatIsReleasedComesBack() {
    #expect(clinux_release_code() > 100_000)
    #expect(clinux_release_code() > 100_000)
  }

  @Test func runsWithItsEnvironmentAndDirectory() throws {
    let outcome = try spawn("/bin/sh", ["-c", "echo $A; pwd; echo err >&2; exit 3"], directory: "/usr")
    #expect(outcome.output == "b\n/usr\nerr\n")
    #expect(outcome.status == 3 << 8)
  }

  @Test func inheritsNothing() throws {
    let leak = open("/dev/zero", O_RDONLY)
    defer { close(leak) }
    signal(SIGUSR1, SIG_IGN)
    defer { signal(SIGUSR1, SIG_DFL) }
    let outcome = try spawn(
      "/bin/sh", ["-c", "ls /proc/$$/fd; readlink /proc/$$/fd/0; exec grep -E 'SigIgn|SigBlk' /proc/self/status"])
    #expect(outcome.output == "0\n1\n2\n/dev/null\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
  }

  @Test func newSessionLeads() throws {
    let outcome = try spawn(
      "/bin/sh", ["-c", "cut -d' ' -f1,6 /proc/$$/stat"], flags: UInt32(CLINUX_SPAWN_NEW_SESSION.rawValue))
    let numbers = outcome.output.split(whereSeparator: \.isWhitespace)
    #expect(numbers.count == 2 && numbers.first == numbers.last)
  }

  @Test(.enabled(if: isRoot, "needs root")) func joinsNamespaceAndCgroup() throws {
    let namespace = try NetworkNamespace.create()
    let root = access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup"
    let name = "kernel-libs-spawn-\(getpid())"
    try #require(mkdir("\(root)/\(name)", 0o755) == 0)
    defer { rmdir("\(root)/\(name)") }
    let procs = open("\(root)/\(name)/cgroup.procs", O_WRONLY | O_CLOEXEC)
    try #require(procs >= 0)
    defer { close(procs) }
    let outcome = try spawn(
      "/bin/sh", ["-c", "readlink /proc/$$/ns/net; grep ^0: /proc/$$/cgroup"], netns: namespace.fileDescriptor,
      cgroup: procs)
    #expect(outcome.output == "net:[\(namespace.inode)]\n0::/\(name)\n")
    #expect(try NetworkNamespace.current().inode != namespace.inode)
  }

  @Test func failuresNameTheirStep() throws {
    let missing = try spawn("/nonexistent/command")
    #expect(missing.result == -ENOENT && missing.step == CLINUX_SPAWN_STEP_EXEC.rawValue)
    let directory = try spawn("/bin/true", directory: "/nonexistent")
    #expect(directory.result == -ENOENT && directory.step == CLINUX_SPAWN_STEP_DIRECTORY.rawValue)
    let forbidden = try spawn("/etc/passwd")
    #expect(forbidden.result == -EACCES && forbidden.step == CLINUX_SPAWN_STEP_EXEC.rawValue)
    let netns = try spawn("/bin/true", netns: 0)
    #expect(netns.result < 0 && netns.step == CLINUX_SPAWN_STEP_NETNS.rawValue)
  }

  @Test func manyAtOnce() async throws {
    try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<40 {
        group.addTask { try spawn("/bin/sh", ["-c", "echo \(number)"]).output }
      }
      var outputs: Set<String> = []
      for try await output in group { outputs.insert(output) }
      #expect(outputs.count == 40)
    }
  }
}
