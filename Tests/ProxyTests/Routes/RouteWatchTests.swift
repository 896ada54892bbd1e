import Files
import JSON
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Proxy

@Suite struct RouteWatchTests {
  private typealias Documents = RouteDocuments

  private func answer(_ files: ProxyFiles, until isReached: (ListeningAnswer) -> Bool) async throws -> ListeningAnswer {
    var last = ListeningAnswer()
    for _ in 0..<500 {
      if let answer = try ListeningAnswer(files) {
        last = answer
        if isReached(answer) { return answer }
      }
      try await Task.sleep(for: .milliseconds(10))
    }
    return last
  }

  @Test func `follows the files`() async throws {
    let directory = try TemporaryDirectory("routes")
    let files = ProxyFiles(folder: directory.path + "/proxy")
    let routes = RouteStore()
    try StateFiles.makeDirectories(files.listeners)
    func write(_ number: UInt32, _ generation: String, _ resources: [JSONValue]) throws {
      try StateFiles.write(
        Documents.file(number: Int64(number), generation: generation, resources), to: files.listener(number))
    }
    let good = [Documents.listener([Documents.host([Documents.route()])])]
    // There before the proxy is.
    try write(1, "a", good)
    let task = Task { try await RouteWatch(files: files, routes: routes, logger: Logger(label: "test")).run() }
    #expect(try await answer(files) { $0.listeners[1] == "a" }.listeners == [1: "a"])
    #expect(routes.current.listeners[1]?.cluster("default/web") == nil)

    try StateFiles.write(Documents.endpoints(["default/web": [("10.0.0.1", 80)]]), to: files.endpoints)
    try write(2, "b", good)
    #expect(try await answer(files) { $0.listeners[2] == "b" }.listeners == [1: "a", 2: "b"])
    #expect(routes.current.listeners[1]?.cluster("default/web")?.endpoints.count == 1)

    try write(2, "c", [Documents.listener([])])
    let refused = try await answer(files) { $0.rejected[2] != nil || $0.listeners[2] == "c" }
    #expect(refused.listeners[2] == "c", "a table without virtual hosts is one: \(refused)")
    try write(2, "d", [Documents.cluster("x", ["type": "ORIGINAL_DST"])])
    let names = try await answer(files) { $0.rejected[2] != nil }
    #expect(names.listeners[2] == "c" && names.rejected[2]?.generation == "d")
    #expect(
      names.rejected[2]?.reason
        == "resources[0].type: ORIGINAL_DST is not supported; STATIC, EDS, STRICT_DNS and LOGICAL_DNS are")

    try StateFiles.remove(files.listener(1))
    #expect(try await answer(files) { $0.listeners[1] == nil }.listeners == [2: "c"])
    #expect(routes.current.listeners[1] == nil)
    task.cancel()
    try await task.value
  }

  @Test func `many files at once`() async throws {
    let directory = try TemporaryDirectory("routes")
    let files = ProxyFiles(folder: directory.path)
    let routes = RouteStore()
    try StateFiles.makeDirectories(files.listeners)
    let task = Task { try await RouteWatch(files: files, routes: routes, logger: Logger(label: "test")).run() }
    for number in 1...300 {
      try StateFiles.write(
        Documents.file(number: Int64(number), [Documents.listener([Documents.host([Documents.route()])])]),
        to: files.listener(UInt32(number)))
    }
    #expect(try await answer(files) { $0.listeners.count == 300 }.listeners.count == 300)
    #expect(routes.current.listeners.count == 300)
    task.cancel()
    try await task.value
  }
}
