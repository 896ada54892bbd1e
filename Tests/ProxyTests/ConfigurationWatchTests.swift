import Files
import Foundation
import Logging
import ProxyRules
import TestSupport
import Testing

@testable import Proxy

@Suite struct ConfigurationWatchTests {
  @Test func followsTheFile() async throws {
    let directory = try TemporaryDirectory("proxy")
    let files = ProxyFiles(folder: directory.path + "/proxy")
    let rules = RuleStore()
    let watch = ConfigurationWatch(files: files, rules: rules, logger: Logger(label: "test"))
    let task = Task { try await watch.run() }
    func write(_ text: String) throws {
      try text.write(toFile: directory.path + "/new", atomically: false, encoding: .utf8)
      #expect(rename(directory.path + "/new", files.configuration) == 0)
    }
    func acknowledged() async -> String {
      try? await Task.sleep(for: .milliseconds(150))
      return (try? String(contentsOfFile: files.generation, encoding: .utf8)) ?? ""
    }
    _ = await acknowledged()
    #expect(rules.current.generation == 0)
    #expect(rules.current.http(1) == nil)
    try write(#"{"generation": 5, "ruleSets": [{"id": 1, "rules": []}]}"#)
    #expect(await acknowledged() == "5\n")
    #expect(rules.current.http(1) != nil)
    for broken in [
      "{", #"{"generation": 6, "nonsense": 1}"#,
      #"{"generation": 6, "ruleSets": [{"id": 1, "rules": [{"id": 1, "path": "("}]}]}"#,
    ] {
      try write(broken)
      #expect(await acknowledged() == "5\n")
      #expect(rules.current.generation == 5)
    }
    try write(#"{"generation": 7}"#)
    #expect(await acknowledged() == "7\n")
    #expect(rules.current.http(1) == nil)
    task.cancel()
    try await task.value
  }
}
