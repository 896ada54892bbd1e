import JSON
import Testing

@testable import ControlPlane

@Suite struct LifecycleTests {
  let configMaps = "api/v1/namespaces/default/configmaps"
  let pods = "api/v1/namespaces/default/pods"

  func configMap(_ name: String, _ metadata: JSONValue = [:]) -> JSONValue {
    var value: JSONValue = ["apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata]
    value.set(["metadata", "name"], to: .string(name))
    return value
  }

  func pod(_ name: String, node: String? = nil) -> JSONValue {
    var value: JSONValue = [
      "metadata": ["name": .string(name)], "spec": ["containers": [["name": "a", "command": ["x"]]]],
    ]
    if let node { value.set(["spec", "nodeName"], to: .string(node)) }
    return value
  }

  @Test func conflictsAndExistence() async throws {
    let server = try makeServer()
    let created = try await server.send(.post, configMaps, configMap("a"))
    #expect(created.code == 201)
    let again = try await server.send(.post, configMaps, configMap("a"))
    #expect(again.code == 409 && again.body["reason"] == "AlreadyExists")
    var changed = created.body
    changed["data"] = ["k": "v"]
    #expect(try await server.send(.put, configMaps + "/a", changed).code == 200)
    let stale = try await server.send(.put, configMaps + "/a", changed)
    #expect(stale.code == 409 && stale.body["reason"] == "Conflict")
    #expect(try await server.send(.get, configMaps + "/b").code == 404)
    let elsewhere = try await server.send(.post, "api/v1/namespaces/none/configmaps", configMap("a"))
    #expect(elsewhere.code == 404 && elsewhere.body["message"] == #"namespaces "none" not found"#)
    #expect(try await server.send(.get, "apis/none/v1/things").code == 404)
    #expect(try await server.send(.put, configMaps, configMap("a")).code == 405)
  }

  @Test func preconditions() async throws {
    let server = try makeServer()
    _ = try await server.send(.post, configMaps, configMap("a"))
    let refused = try await server.send(.delete, configMaps + "/a", ["preconditions": ["uid": "other"]])
    #expect(refused.code == 409)
    #expect(try await server.send(.delete, configMaps + "/a", ["dryRun": ["All"]]).code == 200)
    #expect(try await server.send(.get, configMaps + "/a").code == 200)
  }

  @Test func aPodNeedsItsServiceAccount() async throws {
    let server = try makeServer()
    let accounts = "api/v1/namespaces/default/serviceaccounts"
    var wanted = pod("a")
    wanted.set(["spec", "serviceAccountName"], to: "builder")
    let refused = try await server.send(.post, pods, wanted)
    #expect(refused.code == 403 && refused.body["reason"] == "Forbidden")
    #expect(
      refused.body["message"]
        == #"pods "a" is forbidden: error looking up service account default/builder: serviceaccount "builder" not found"#
    )
    let account: JSONValue = ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "builder"]]
    #expect(try await server.send(.post, accounts, account).code == 201)
    #expect(try await server.send(.post, pods, wanted).code == 201)
    var older = pod("b")
    older.set(["spec", "serviceAccount"], to: "nobody")
    #expect(try await server.send(.post, pods, older).code == 403)
    // That of pods which name none is always there: in new namespaces, and after it was deleted.
    let space: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "n"]]
    #expect(try await server.send(.post, "api/v1/namespaces", space).code == 201)
    #expect(try await server.send(.get, "api/v1/namespaces/n/serviceaccounts/default").code == 200)
    _ = try await server.send(.delete, accounts + "/default")
    #expect(try await server.send(.post, pods, pod("c"), query: ["dryRun": "All"]).code == 201)
    #expect(try await server.send(.get, accounts + "/default").code == 404)
    #expect(try await server.send(.post, pods, pod("c")).code == 201)
    #expect(try await server.send(.get, accounts + "/default").code == 200)
  }

  @Test func finalizersHoldAnObject() async throws {
    let server = try makeServer()
    _ = try await server.send(.post, configMaps, configMap("a", ["finalizers": ["x.y/z"]]))
    let ending = try await server.send(.delete, configMaps + "/a")
    #expect(ending.body["metadata"]?["deletionTimestamp"] != nil)
    #expect(try await server.send(.get, configMaps + "/a").code == 200)
    let patch: JSONValue = ["metadata": ["finalizers": .null]]
    _ = try await server.send(.patch, configMaps + "/a", patch, type: "application/merge-patch+json")
    #expect(try await server.send(.get, configMaps + "/a").code == 404)
  }

  @Test func podsOnANodeEndInTwoSteps() async throws {
    let server = try makeServer()
    _ = try await server.send(.post, pods, pod("a", node: "host"))
    _ = try await server.send(.post, pods, pod("b"))
    #expect(try await server.send(.delete, pods + "/b").body["kind"] == "Status")
    let ending = try await server.send(.delete, pods + "/a")
    #expect(ending.body["metadata"]?["deletionGracePeriodSeconds"] == 30)
    #expect(try await server.send(.get, pods + "/a").code == 200)
    let shorter = try await server.send(.delete, pods + "/a", ["gracePeriodSeconds": 5])
    #expect(shorter.body["metadata"]?["deletionGracePeriodSeconds"] == 5)
    #expect(try await server.send(.delete, pods + "/a", ["gracePeriodSeconds": 0]).code == 200)
    #expect(try await server.send(.get, pods + "/a").code == 404)
  }

  @Test func ownersTakeTheirOwn() async throws {
    let server = try makeServer()
    func reference(_ owner: JSONValue) -> JSONValue {
      [
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]?["name"] ?? "",
        "uid": owner["metadata"]?["uid"] ?? "",
      ]
    }
    let first = try await server.send(.post, configMaps, configMap("first")).body
    let second = try await server.send(.post, configMaps, configMap("second")).body
    _ = try await server.send(
      .post, configMaps, configMap("child", ["ownerReferences": [reference(first), reference(second)]]))
    _ = try await server.send(.delete, configMaps + "/first")
    let child = try await server.send(.get, configMaps + "/child").body
    #expect(child["metadata"]?["ownerReferences"]?.arrayValue?.count == 1)
    _ = try await server.send(
      .post, configMaps, configMap("grandchild", ["ownerReferences": [reference(child)]]))
    _ = try await server.send(.delete, configMaps + "/second")
    #expect(try await server.send(.get, configMaps + "/child").code == 404)
    #expect(try await server.send(.get, configMaps + "/grandchild").code == 404)
    let third = try await server.send(.post, configMaps, configMap("third")).body
    _ = try await server.send(.post, configMaps, configMap("kept", ["ownerReferences": [reference(third)]]))
    _ = try await server.send(.delete, configMaps + "/third", ["propagationPolicy": "Orphan"])
    let kept = try await server.send(.get, configMaps + "/kept")
    #expect(kept.code == 200 && kept.body["metadata"]?["ownerReferences"] == nil)
  }

  @Test func namespacesTakeTheirContents() async throws {
    let server = try makeServer()
    _ = try await server.send(.post, "api/v1/namespaces", ["metadata": ["name": "n"]])
    #expect(try await server.send(.get, "api/v1/namespaces/n/serviceaccounts/default").code == 200)
    _ = try await server.send(.post, "api/v1/namespaces/n/configmaps", configMap("a"))
    _ = try await server.send(.post, "api/v1/namespaces/n/pods", pod("p", node: "host"))
    #expect(try await server.send(.delete, "api/v1/namespaces/n").body["status"]?["phase"] == "Terminating")
    #expect(try await server.send(.get, "api/v1/namespaces/n/configmaps/a").code == 404)
    let refused = try await server.send(.post, "api/v1/namespaces/n/configmaps", configMap("b"))
    #expect(refused.code == 403)
    _ = try await server.send(.delete, "api/v1/namespaces/n/pods/p", ["gracePeriodSeconds": 0])
    #expect(try await server.send(.get, "api/v1/namespaces/n").code == 404)
    #expect(try await server.send(.delete, "api/v1/namespaces/default").code == 403)
  }

  @Test func statusIsSeparateAndGenerationCounts() async throws {
    let server = try makeServer()
    let path = "apis/cilium.io/v2/namespaces/default/ciliumnetworkpolicies"
    let policy: JSONValue = [
      "metadata": ["name": "p"], "spec": ["endpointSelector": [:], "ingress": []],
      "status": ["conditions": [["type": "Valid", "status": "True"]]],
    ]
    let created = try await server.send(.post, path, policy).body
    #expect(created["status"] == nil)
    #expect(created["metadata"]?["generation"] == 1)
    var changed = created
    changed["status"] = ["conditions": [["type": "Valid", "status": "True"]]]
    changed.set(["spec", "description"], to: "not by this way")
    let status = try await server.send(.put, path + "/p/status", changed).body
    #expect(status["status"]?["conditions"]?.arrayValue?.count == 1)
    #expect(status["spec"]?["description"] == nil)
    #expect(status["metadata"]?["generation"] == 1)
    let patched = try await server.send(
      .patch, path + "/p", ["spec": ["description": "d"], "status": .null], type: "application/merge-patch+json"
    ).body
    #expect(patched["metadata"]?["generation"] == 2)
    #expect(patched["status"] == status["status"])
  }

  @Test func definitionsMakeKindsServed() async throws {
    let server = try makeServer()
    let definition = try json(
      """
      {"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
       "names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,
       "subresources":{"status":{}},
       "additionalPrinterColumns":[{"name":"Size","type":"integer","jsonPath":".spec.size"}],
       "schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","required":["size"],
       "properties":{"size":{"type":"integer","maximum":3},"color":{"type":"string","default":"red"}}},
       "status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}]}}
      """)
    let definitions = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    let created = try await server.send(.post, definitions, definition)
    #expect(created.code == 201)
    let conditions = created.body["status"]?["conditions"]?.arrayValue?.compactMap { $0["type"]?.stringValue }
    #expect(conditions == ["NamesAccepted", "Established"])
    let widgets = "apis/example.com/v1/namespaces/default/widgets"
    let widget: JSONValue = ["metadata": ["name": "w"], "spec": ["size": 2]]
    #expect(try await server.send(.post, widgets, widget).body["spec"]?["color"] == "red")
    let table = try await server.send(.get, widgets, accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
    #expect(table.body["rows"]?.arrayValue?.first?["cells"] == ["w", 2])
    let wrong: JSONValue = ["metadata": ["name": "x"], "spec": ["size": 4]]
    #expect(try await server.send(.post, widgets, wrong).code == 422)
    #expect(try await server.send(.delete, definitions + "/widgets.example.com").code == 200)
    #expect(try await server.send(.get, widgets).code == 404)
    #expect(server.store.list("widgets.example.com", ObjectFilter()).objects.isEmpty)
  }

  @Test func aDefinitionWaitsForItsObjects() async throws {
    let server = try makeServer()
    let definitions = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    let groups = "apis/cilium.io/v2/ciliumcidrgroups"
    let group: JSONValue = [
      "metadata": ["name": "g", "finalizers": ["x.y/z"]], "spec": ["externalCIDRs": ["10.0.0.0/8"]],
    ]
    #expect(try await server.send(.post, groups, group).code == 201)
    let ending = try await server.send(.delete, definitions + "/ciliumcidrgroups.cilium.io").body
    #expect(ending["metadata"]?["deletionTimestamp"] != nil)
    let patch: JSONValue = ["metadata": ["finalizers": .null]]
    _ = try await server.send(.patch, groups + "/g", patch, type: "application/merge-patch+json")
    #expect(try await server.send(.get, groups).code == 404)
    #expect(try await server.send(.get, definitions + "/ciliumcidrgroups.cilium.io").code == 404)
  }

  @Test func concurrentWritersLoseNothing() async throws {
    let server = try makeServer()
    _ = try await server.send(.post, configMaps, configMap("a"))
    let path = configMaps + "/a"
    try await withThrowingTaskGroup(of: Int.self) { group in
      for writer in 0..<8 {
        group.addTask {
          for index in 0..<10 {
            let patch: JSONValue = ["data": .object(["k\(writer)-\(index)": "v"])]
            _ = try await server.send(.patch, path, patch, type: "application/merge-patch+json")
          }
          return writer
        }
      }
      try await group.waitForAll()
    }
    #expect(try await server.send(.get, path).body["data"]?.objectValue?.count == 80)
  }

  @Test func generatedNamesAndSecrets() async throws {
    let server = try makeServer()
    let named = try await server.send(.post, configMaps, ["metadata": ["generateName": "x-"]]).body
    #expect(named.scalarText(at: ["metadata", "name"])?.wholeMatch(of: /x-[a-z0-9]{5}/) != nil)
    let secret = try await server.send(
      .post, "api/v1/namespaces/default/secrets", ["metadata": ["name": "s"], "stringData": ["k": "value"]]
    ).body
    #expect(secret["data"] == ["k": "dmFsdWU="])
    #expect(secret["stringData"] == nil && secret["type"] == "Opaque")
  }

  @Test(arguments: [
    ("Upper", "configmaps"), ("-a", "configmaps"), ("a_b", "configmaps"), ("a.b", "services"), ("1a", "services"),
    ("", "configmaps"),
  ])
  func namesAreChecked(name: String, plural: String) async throws {
    let object: JSONValue = ["metadata": ["name": .string(name)], "spec": ["ports": [["port": 80]]]]
    let path = "api/v1/namespaces/default/\(plural)"
    let result = try await makeServer().send(.post, path, object, query: ["fieldValidation": "Ignore"])
    #expect(result.code == 422)
    #expect(result.body["details"]?["causes"]?.arrayValue?.first?["field"] == "metadata.name")
  }

  @Test func watchStreams() async throws {
    let server = try makeServer()
    let version = server.store.resourceVersion
    _ = try await server.send(.post, configMaps, configMap("a"))
    async let watched = server.send(
      .get, configMaps, query: ["watch": "true", "resourceVersion": String(version), "allowWatchBookmarks": "true"])
    try await Task.sleep(for: .milliseconds(200))
    _ = try await server.send(.delete, configMaps + "/a")
    server.store.tick()
    server.store.endWatches()
    let types = try await watched.body.arrayValue?.compactMap { $0["type"]?.stringValue }
    #expect(types == ["ADDED", "DELETED", "BOOKMARK"])
    server.store.compact(through: server.store.resourceVersion)
    let gone = try await server.send(
      .get, configMaps, query: ["watch": "true", "resourceVersion": String(version)])
    #expect(gone.body.arrayValue?.first?["object"]?["code"] == 410)
    async let initial = server.send(
      .get, "api/v1/namespaces", query: ["watch": "1", "sendInitialEvents": "true", "allowWatchBookmarks": "true"])
    try await Task.sleep(for: .milliseconds(200))
    server.store.endWatches()
    let events = try await initial.body.arrayValue ?? []
    #expect(events.compactMap { $0["type"]?.stringValue } == ["ADDED", "ADDED", "ADDED", "BOOKMARK"])
    #expect(events.last?["object"]?["metadata"]?["annotations"] == ["k8s.io/initial-events-end": "true"])
  }

  @Test func protocolBuffers() async throws {
    // What kubectl create configmap a --from-literal=k=v sends.
    func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
    func text(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    let object = field(1, text(1, "a") + text(2, "") + field(8, [])) + field(2, text(1, "k") + text(2, "v"))
    let body = [0x6B, 0x38, 0x73, 0] + field(1, text(1, "v1") + text(2, "ConfigMap")) + field(2, object)
    let server = try makeServer()
    let request = APIRequest(
      method: .post, path: configMaps.split(separator: "/").map(String.init),
      contentType: "application/vnd.kubernetes.protobuf", body: body)
    #expect(await server.respond(to: request).code == 201)
    #expect(try await server.send(.get, configMaps + "/a").body["data"] == ["k": "v"])
    var broken = request
    broken.body = Array(body.dropLast(3))
    #expect(await server.respond(to: broken).code == 400)
    var pod = request
    pod.path = pods.split(separator: "/").map(String.init)
    #expect(await server.respond(to: pod).code == 415)
  }
}
