import JSON
import Synchronization
import Testing

@testable import KubernetesAPI

@Suite struct ReflectorTests {
  /// Runs a reflector against `handler` until it has told `count` deltas.
  private func deltas(
    _ count: Int, _ handler: @escaping @Sendable (Int, FakeServer.Request, FakeServer.Answer) -> Void
  ) async throws -> (deltas: [ReflectorDelta<ConfigMap>], requests: [FakeServer.Request]) {
    let server = FakeServer(handler)
    return try await withClient(ClientConfiguration(server: server.url)) { client in
      let backoff = Backoff(base: .milliseconds(1), maximum: .milliseconds(20))
      var deltas: [ReflectorDelta<ConfigMap>] = []
      for await delta in Reflector<ConfigMap>(client: client, backoff: backoff).deltas() {
        deltas.append(delta)
        if deltas.count == count { break }
      }
      return (deltas, server.requests)
    }
  }

  private static func list(_ items: [JSONValue], version: String) -> JSONValue {
    ["items": .array(items), "metadata": ["resourceVersion": .string(version)]]
  }

  @Test func listsThenFollows() async throws {
    let result = try await deltas(4) { number, _, answer in
      if number == 0 { return answer.json(Self.list([configMap("a")], version: "5")) }
      answer.startChunks()
      answer.event("ADDED", configMap("b", version: 6))
      answer.event("MODIFIED", configMap("a", version: 7, data: ["k": "w"]))
      answer.event("DELETED", configMap("b", version: 8))
      answer.waitForClient()
    }
    #expect(
      try result.deltas == [
        .replaced([ConfigMap(configMap("a"))]), .applied(ConfigMap(configMap("b", version: 6))),
        .applied(ConfigMap(configMap("a", version: 7, data: ["k": "w"]))),
        .deleted(ObjectKey(kind: "ConfigMap", namespace: "default", name: "b")),
      ])
    #expect(result.requests[1].target.contains("resourceVersion=5"))
  }

  @Test func resumesAfterABrokenConnection() async throws {
    let result = try await deltas(3) { number, _, answer in
      switch number {
      case 0: answer.json(Self.list([], version: "5"))
      case 1:
        answer.startChunks()
        answer.event("ADDED", configMap("a", version: 6))
        answer.chunk(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"# + "\n" + #"{"type"#)
      case 2: answer.json(status(429, "TooManyRequests", "slow"), code: 429)
      default:
        answer.startChunks()
        answer.event("ADDED", configMap("b", version: 10))
        answer.waitForClient()
      }
    }
    #expect(
      try result.deltas == [
        .replaced([]), .applied(ConfigMap(configMap("a", version: 6))),
        .applied(ConfigMap(configMap("b", version: 10))),
      ])
    #expect(result.requests[3].target.contains("resourceVersion=9"))
  }

  @Test(arguments: [true, false])
  func tellsWhatChangedWhileTheVersionBecameTooOld(_ asEvent: Bool) async throws {
    let result = try await deltas(5) { number, request, answer in
      switch number {
      case 0:
        answer.json(
          Self.list(
            [configMap("a", version: 2), configMap("same", version: 3), configMap("old", version: 4)], version: "5"))
      case 1 where asEvent:
        answer.startChunks()
        answer.event("ERROR", status(410, "Expired", "too old"))
        answer.endChunks()
      case 1: answer.json(status(410, "Expired", "too old"), code: 410)
      case 2:
        answer.json(
          Self.list(
            [configMap("b", version: 40), configMap("same", version: 3), configMap("old", version: 41)], version: "50"))
      default:
        answer.startChunks()
        answer.event("ADDED", configMap("c", version: 51))
        answer.waitForClient()
      }
    }
    #expect(
      try result.deltas == [
        .replaced([
          ConfigMap(configMap("a", version: 2)), ConfigMap(configMap("same", version: 3)),
          ConfigMap(configMap("old", version: 4)),
        ]),
        .deleted(ObjectKey(kind: "ConfigMap", namespace: "default", name: "a")),
        .applied(ConfigMap(configMap("b", version: 40))), .applied(ConfigMap(configMap("old", version: 41))),
        .applied(ConfigMap(configMap("c", version: 51))),
      ])
    #expect(!result.requests[2].target.contains("watch"))
    #expect(result.requests[3].target.contains("resourceVersion=50"))
  }

  @Test func undecodableObjectsDoNotStopIt() async throws {
    let bad = configMap("bad", data: ["k": 1])
    let result = try await deltas(3) { number, _, answer in
      if number == 0 { return answer.json(Self.list([bad, configMap("a")], version: "5")) }
      answer.startChunks()
      answer.event("MODIFIED", configMap("a", version: 6, data: ["k": 1]))
      answer.event("ADDED", configMap("b", version: 7))
      answer.waitForClient()
    }
    let error = FieldError(path: "data.k", message: "must be a string, is integer")
    func key(_ name: String) -> ObjectKey { ObjectKey(kind: "ConfigMap", namespace: "default", name: name) }
    #expect(
      try result.deltas == [
        .replaced([ConfigMap(configMap("a"))], invalid: [InvalidObject(key: key("bad"), raw: bad, error: error)]),
        .invalid(key("a"), raw: configMap("a", version: 6, data: ["k": 1]), error),
        .applied(ConfigMap(configMap("b", version: 7))),
      ])
  }

  @Test func waitsForAServerThatFails() async throws {
    let result = try await deltas(1) { number, _, answer in
      switch number {
      case 0: break  // Closes the connection without an answer.
      case 1: answer.json(status(500, "InternalError", "no"), code: 500)
      case 2: answer.write("garbage\r\n\r\n")
      default: answer.json(Self.list([], version: "5"))
      }
    }
    #expect(result.deltas == [.replaced([])])
  }

  @Test func pausesGrowWithinBounds() {
    var backoff = Backoff(base: .milliseconds(100), maximum: .seconds(1))
    for full in [100, 200, 400, 800, 1000, 1000] {
      let pause = backoff.next()
      #expect(pause >= .milliseconds(full / 2) && pause <= .milliseconds(full))
    }
    backoff.reset()
    #expect(backoff.next() <= .milliseconds(100))
  }
}
