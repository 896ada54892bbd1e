import CNI
import Files
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Workloads

@Suite struct PodLogsTests {
  func read(_ content: String, tail: Int?) throws -> String {
    let directory = try TemporaryDirectory()
    try StateFiles.makeDirectories(directory.path + "/logs")
    let path = PodRuntimeConfiguration.logPath(stateDirectory: directory.path, namespace: "default", name: "a")
    try StateFiles.write(Array(content.utf8), to: path)
    var output: [UInt8] = []
    try PodLogs.read(stateDirectory: directory.path, namespace: "default", name: "a", tail: tail) {
      output += $0
      return true
    }
    return String(decoding: output, as: UTF8.self)
  }

  @Test(
    arguments: [
      ("a\nb\nc\n", nil, "a\nb\nc\n"), ("a\nb\nc\n", 0, ""), ("a\nb\nc\n", 1, "c\n"), ("a\nb\nc", 2, "b\nc"),
      ("a\nb\n", 9, "a\nb\n"), ("", 3, ""), ("\n\n\n", 2, "\n\n"),
    ] as [(String, Int?, String)])
  func tails(content: String, tail: Int?, expected: String) throws {
    #expect(try read(content, tail: tail) == expected)
  }

  @Test func longLogs() throws {
    let lines = (0..<20_000).map { "line \($0)\n" }
    #expect(try read(lines.joined(), tail: 15_000) == lines.suffix(15_000).joined())
  }

  @Test func followingEndsWithThePod() throws {
    let directory = try TemporaryDirectory()
    try StateFiles.makeDirectories(directory.path + "/logs")
    let path = PodRuntimeConfiguration.logPath(stateDirectory: directory.path, namespace: "default", name: "a")
    try StateFiles.write(Array("one\n".utf8), to: path)
    var output = ""
    try PodLogs.read(stateDirectory: directory.path, namespace: "default", name: "a", follow: true) {
      output += String(decoding: $0, as: UTF8.self)
      if output == "one\n" {
        let descriptor = open(path, O_WRONLY | O_APPEND)
        write(descriptor, "two\n", 4)
        close(descriptor)
        unlink(path)
      }
      return true
    }
    #expect(output == "one\ntwo\n")
  }

  @Test func noSuchPod() {
    #expect(throws: FileError.self) {
      try PodLogs.read(stateDirectory: "/nowhere", namespace: "default", name: "a") { _ in true }
    }
  }
}
