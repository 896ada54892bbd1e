import Glibc
import JSON
import Labels
import Testing

@testable import KubernetesAPI

func withClient<Result>(
  _ configuration: ClientConfiguration, timeout: Duration = .seconds(20),
  _ body: (KubernetesClient) async throws -> Result
) async throws -> Result {
  let client = try KubernetesClient(configuration: configuration, requestTimeout: timeout)
  do {
    let result = try await body(client)
    return result
  } catch {
    throw error
  }
}

func configMap(_ name: String, version: Int = 1, data: JSONValue = ["k": "v"]) -> JSONValue {
  [
    "apiVersion": "v1", "kind": "ConfigMap", "data": data,
    "metadata": ["name": .string(name), "namespace": "default", "resourceVersion": .string(String(version))],
  ]
}

func status(_ code: Int, _ reason: String, _ message: String) -> JSONValue {
  [
    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": .integer(Int64(code)),
    "reason": .string(reason), "message": .string(message),
  ]
}

@Suite struct ClientTests {
  @Test func verbsAndPaths() async throws {
    let server = FakeServer { _, _, answer in answer.json(configMap("a")) }
    let configuration = ClientConfiguration(server: server.url + "/", credentials: .token("secret"))
    try await withClient(configuration) { client in
      let type = ConfigMap.resource
      _ = try await client.get(ConfigMap.self, namespace: "default", name: "a")
      _ = try await client.create(type, ["metadata": ["name": "a"]])
      _ = try await client.update(type, configMap("a"))
      _ = try await client.updateStatus(type, configMap("a"))
      _ = try await client.patch(
        type, namespace: "n", name: "a", .apply(fieldManager: "me & you", force: true), ["data": [:]])
      _ = try await client.patchStatus(CiliumNetworkPolicy.resource, namespace: "n", name: "a", ["status": [:]])
      try await client.delete(
        Node.resource, namespace: nil, name: "a", DeleteOptions(gracePeriod: 0, uid: "u", resourceVersion: "7"))
    }
    let requests = server.requests
    #expect(
      requests.map { "\($0.method) \($0.target)" } == [
        "GET /api/v1/namespaces/default/configmaps/a",
        "POST /api/v1/namespaces/default/configmaps",
        "PUT /api/v1/namespaces/default/configmaps/a",
        "PUT /api/v1/namespaces/default/configmaps/a/status",
        "PATCH /api/v1/namespaces/n/configmaps/a?fieldManager=me%20%26%20you&force=true",
        "PATCH /apis/cilium.io/v2/namespaces/n/ciliumnetworkpolicies/a/status",
        "DELETE /api/v1/nodes/a",
      ])
    #expect(requests.allSatisfy { $0.headers["authorization"] == "Bearer secret" })
    #expect(requests[4].headers["content-type"] == "application/apply-patch+yaml")
    #expect(requests[5].headers["content-type"] == "application/merge-patch+json")
    #expect(
      try JSONValue(parsing: requests[6].body) == [
        "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
        "preconditions": ["uid": "u", "resourceVersion": "7"],
      ])
  }

  @Test func listsAllPages() async throws {
    let server = FakeServer { _, request, answer in
      let isSecond = request.target.contains("continue=next%3D")
      var list: JSONValue = ["items": [configMap(isSecond ? "b" : "a")], "metadata": ["resourceVersion": "9"]]
      if !isSecond { list["metadata"]?["continue"] = "next=" }
      answer.json(list)
    }
    let list = try await withClient(ClientConfiguration(server: server.url)) { client in
      try await client.list(
        ConfigMap.self,
        ListOptions(labelSelector: LabelSelector(parsing: "a in (b,c)"), fieldSelector: "metadata.name=x", limit: 1))
    }
    #expect(list.items.map(\.metadata.name) == ["a", "b"] && list.resourceVersion == "9")
    #expect(
      server.requests[0].target
        == "/api/v1/configmaps?labelSelector=a%20in%20%28b%2Cc%29&fieldSelector=metadata.name%3Dx&limit=1")
  }

  @Test func errorsOfTheServer() async throws {
    let server = FakeServer { number, _, answer in
      if number == 0 {
        var value = status(422, "Invalid", "p is invalid")
        value["details"] = ["causes": [["field": "spec.a", "reason": "FieldValueInvalid", "message": "no"]]]
        answer.json(value, code: 422)
      } else if number == 1 {
        answer.write("HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy")
      } else if number == 2 {
        answer.write("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy")
      } else {
        answer.json(["metadata": ["name": 1]])
      }
    }
    try await withClient(ClientConfiguration(server: server.url)) { client in
      func error() async throws -> KubernetesError {
        try await #require(throws: KubernetesError.self) { try await client.get(ConfigMap.self, name: "a") }
      }
      let cause = StatusCause(field: "spec.a", reason: "FieldValueInvalid", message: "no")
      #expect(try await error() == .status(code: 422, reason: "Invalid", message: "p is invalid", causes: [cause]))
      #expect(try await error() == .status(code: 503, reason: "", message: "busy", causes: []))
      guard case .malformed = try await error() else { throw KubernetesError.transport("expected malformed") }
      let undecodable = FieldError(path: "metadata.name", message: "must be a string, is integer")
      #expect(try await error() == .undecodable(undecodable))
    }
  }

  @Test func unreachableAndSilentServers() async throws {
    let silent = FakeServer { _, _, answer in answer.waitForClient() }
    for server in ["http://127.0.0.1:1", silent.url] {
      try await withClient(ClientConfiguration(server: server), timeout: .milliseconds(300)) { client in
        let error = try await #require(throws: KubernetesError.self) {
          try await client.get(ConfigMap.self, name: "a")
        }
        guard case .transport = error else { throw error }
      }
    }
  }

  @Test func watchJoinsHalfLines() async throws {
    let server = FakeServer { _, _, answer in
      answer.startChunks()
      let line = (["type": "ADDED", "object": configMap("ä")] as JSONValue).text() + "\n"
      let bytes = Array(line.utf8)
      for piece in [bytes[..<7], bytes[7..<40], bytes[40...]] {
        answer.write("\(String(piece.count, radix: 16))\r\n")
        _ = piece.withUnsafeBytes { send(answer.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        answer.write("\r\n")
        usleep(20_000)
      }
      answer.chunk(
        #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"12"}}}"# + "\n\n"
          + #"{"type":"DELETED","object":{"metadata":{"name":"b"}}}"# + "\r\n"
          + #"{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"old"}}"# + "\n" + #"{"type":"AD"#)
      answer.endChunks()
    }
    let events = try await withClient(ClientConfiguration(server: server.url)) { client in
      var events: [WatchEvent] = []
      for try await event in try await client.watch(ConfigMap.resource, namespace: "n", resourceVersion: "5") {
        events.append(event)
      }
      return events
    }
    #expect(
      events == [
        .added(configMap("ä")), .bookmark(resourceVersion: "12"), .deleted(["metadata": ["name": "b"]]),
        .error(.status(code: 410, reason: "Expired", message: "old", causes: [])),
      ])
    #expect(
      server.requests[0].target
        == "/api/v1/namespaces/n/configmaps?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300")
  }

  @Test func watchRefusedByTheServer() async throws {
    let server = FakeServer { _, _, answer in answer.json(status(410, "Gone", "too old"), code: 410) }
    try await withClient(ClientConfiguration(server: server.url)) { client in
      let error = try await #require(throws: KubernetesError.self) {
        _ = try await client.watch(ConfigMap.resource, resourceVersion: "5")
      }
      #expect(error.isGone)
    }
  }
}
