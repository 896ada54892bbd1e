import JSON
import Testing

@testable import ControlPlane

@Suite struct PatchTests {
  @Test(arguments: [
    (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
    (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
    (#"{"a":"b"}"#, #"{"a":null}"#, "{}"),
    (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
    (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
    (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
    (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
    (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#),
    (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
    ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
    ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
  ])
  func mergePatch(document: String, patch: String, result: String) throws {
    #expect(try json(document).applying(mergePatch: json(patch)) == json(result))
  }

  @Test(arguments: [
    (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":2}]"#, #"{"a":1,"b":2}"#),
    (#"{"a":[1,3]}"#, #"[{"op":"add","path":"/a/1","value":2}]"#, #"{"a":[1,2,3]}"#),
    (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/-","value":2}]"#, #"{"a":[1,2]}"#),
    (#"{"a":1,"b":2}"#, #"[{"op":"remove","path":"/a"}]"#, #"{"b":2}"#),
    (#"{"a":[1,2,3]}"#, #"[{"op":"remove","path":"/a/1"}]"#, #"{"a":[1,3]}"#),
    (#"{"a":1}"#, #"[{"op":"replace","path":"/a","value":{"b":null}}]"#, #"{"a":{"b":null}}"#),
    (#"{"a":{"b":1},"c":{}}"#, #"[{"op":"move","from":"/a/b","path":"/c/d"}]"#, #"{"a":{},"c":{"d":1}}"#),
    (#"{"a":{"b":1}}"#, #"[{"op":"copy","from":"/a","path":"/c"}]"#, #"{"a":{"b":1},"c":{"b":1}}"#),
    (#"{"a/b":{"c~d":1}}"#, #"[{"op":"replace","path":"/a~1b/c~0d","value":2}]"#, #"{"a/b":{"c~d":2}}"#),
    (#"{"a":1}"#, #"[{"op":"test","path":"/a","value":1}]"#, #"{"a":1}"#),
  ])
  func jsonPatch(document: String, patch: String, result: String) throws {
    #expect(try json(document).applying(jsonPatch: json(patch)) == json(result))
  }

  @Test(arguments: [
    #"[{"op":"remove","path":"/b"}]"#, #"[{"op":"replace","path":"/b","value":1}]"#,
    #"[{"op":"test","path":"/a","value":2}]"#, #"[{"op":"add","path":"/x/y","value":1}]"#,
    #"[{"op":"add","path":"/a/0","value":1}]"#, #"[{"op":"jump","path":"/a"}]"#, #"[{"op":"add","path":"/c"}]"#, "{}",
  ])
  func jsonPatchRefuses(patch: String) throws {
    #expect(throws: PatchError.self) { try json(#"{"a":1}"#).applying(jsonPatch: json(patch)) }
  }

  @Test(arguments: [
    // An element merges into the one with its key.
    (
      #"{"containers":[{"name":"a","image":"x"},{"name":"b"}]}"#, #"{"containers":[{"name":"a","image":"y"}]}"#,
      #"{"containers":[{"name":"a","image":"y"},{"name":"b"}]}"#
    ),
    (
      #"{"containers":[{"name":"a"}]}"#, #"{"containers":[{"name":"b"}]}"#,
      #"{"containers":[{"name":"a"},{"name":"b"}]}"#
    ),
    (
      #"{"containers":[{"name":"a"},{"name":"b"}]}"#, #"{"containers":[{"name":"a","$patch":"delete"}]}"#,
      #"{"containers":[{"name":"b"}]}"#
    ),
    (
      #"{"containers":[{"name":"a"},{"name":"b"}]}"#, #"{"containers":[{"$patch":"replace"},{"name":"c"}]}"#,
      #"{"containers":[{"name":"c"}]}"#
    ),
    (
      #"{"containers":[{"name":"a"},{"name":"b"}]}"#,
      #"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"a","image":"i"}]}"#,
      #"{"containers":[{"name":"b"},{"name":"a","image":"i"}]}"#
    ),
    // Atomic lists and maps are replaced, null removes.
    (#"{"tolerations":[{"key":"a"}]}"#, #"{"tolerations":[{"key":"b"}]}"#, #"{"tolerations":[{"key":"b"}]}"#),
    (#"{"nodeName":"a","hostname":"h"}"#, #"{"nodeName":null}"#, #"{"hostname":"h"}"#),
    (
      #"{"volumes":[{"name":"v","emptyDir":{}}]}"#,
      #"{"volumes":[{"$retainKeys":["name","hostPath"],"name":"v","hostPath":{"path":"/"}}]}"#,
      #"{"volumes":[{"name":"v","hostPath":{"path":"/"}}]}"#
    ),
    (#"{"nodeSelector":{"a":"b"}}"#, #"{"nodeSelector":{"$patch":"replace","c":"d"}}"#, #"{"nodeSelector":{"c":"d"}}"#),
  ])
  func strategicMergePatch(document: String, patch: String, result: String) throws {
    let pod = try #require(try BuiltinResources().resources.first { $0.kind == "Pod" }?.schema.member("spec"))
    #expect(try StrategicMergePatch.apply(json(patch), to: json(document), pod) == json(result))
  }

  @Test func strategicMergePatchOfSets() throws {
    let meta = try BuiltinResources().objectMeta
    let patch = try json(#"{"finalizers":["c"],"$deleteFromPrimitiveList/finalizers":["a"]}"#)
    let result = try StrategicMergePatch.apply(patch, to: json(#"{"finalizers":["a","b"]}"#), meta)
    #expect(try result == json(#"{"finalizers":["b","c"]}"#))
  }
}

@Suite struct ServerSideApplyTests {
  let path = "api/v1/namespaces/default/services/s"

  func service(_ ports: JSONValue, selector: JSONValue? = nil) -> JSONValue {
    var value: JSONValue = ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"], "spec": ["ports": ports]]
    if let selector { value.set(["spec", "selector"], to: selector) }
    return value
  }

  func apply(
    _ server: APIServer, _ value: JSONValue, by manager: String, force: Bool = false
  ) async throws -> (code: Int, body: JSONValue) {
    try await server.send(
      .patch, path, value, query: ["fieldManager": manager, "force": force ? "true" : "false"],
      type: "application/apply-patch+yaml")
  }

  @Test func createsThenOwns() async throws {
    let server = try makeServer()
    let created = try await apply(server, service([["port": 80, "name": "a"]]), by: "one")
    #expect(created.code == 201)
    let entry = created.body["metadata"]?["managedFields"]?.arrayValue?.first
    #expect(entry?["manager"] == "one" && entry?["operation"] == "Apply")
    let fields = entry?["fieldsV1"]?["f:spec"]?["f:ports"]?[#"k:{"port":80,"protocol":"TCP"}"#]
    #expect(fields == [".": [:], "f:name": [:], "f:port": [:]])
  }

  @Test func conflictsAreRefusedAndForced() async throws {
    let server = try makeServer()
    _ = try await apply(server, service([["port": 80, "name": "a"]]), by: "one")
    let refused = try await apply(server, service([["port": 80, "name": "b"]]), by: "two")
    #expect(refused.code == 409)
    #expect(
      refused.body["details"]?["causes"]?.arrayValue?.first?["field"] == #".spec.ports[port=80,protocol="TCP"].name"#)
    #expect(try await apply(server, service([["port": 80, "name": "b"]]), by: "two", force: true).code == 200)
    // The first owner lost the field, so it may not take it back without force.
    #expect(try await apply(server, service([["port": 80, "name": "a"]]), by: "one").code == 409)
  }

  @Test func sameValueIsShared() async throws {
    let server = try makeServer()
    _ = try await apply(server, service([["port": 80]], selector: ["a": "b"]), by: "one")
    #expect(try await apply(server, service([["port": 80]], selector: nil), by: "two").code == 200)
    // One gives the selector up; nobody else owned it. The port is kept by two.
    let result = try await apply(server, service([]), by: "one")
    #expect(result.body["spec"]?["ports"]?.arrayValue?.count == 1)
    #expect(result.body["spec"]?["selector"] == nil)
  }

  @Test func removedElementsGo() async throws {
    let server = try makeServer()
    _ = try await apply(server, service([["port": 80, "name": "a"], ["port": 443, "name": "b"]]), by: "one")
    let result = try await apply(server, service([["port": 443, "name": "b"]]), by: "one")
    #expect(result.body["spec"]?["ports"]?.arrayValue?.compactMap { $0["port"]?.integerValue } == [443])
  }

  @Test func unchangedApplyWritesNothing() async throws {
    let server = try makeServer()
    let first = try await apply(server, service([["port": 80]]), by: "one")
    let second = try await apply(server, service([["port": 80]]), by: "one")
    #expect(first.body["metadata"]?["resourceVersion"] == second.body["metadata"]?["resourceVersion"])
  }

  @Test func updatesTakeFields() async throws {
    let server = try makeServer()
    _ = try await apply(server, service([["port": 80]], selector: ["a": "b"]), by: "one")
    let patched = try await server.send(
      .patch, path, ["spec": ["selector": ["a": "c"]]], query: ["fieldManager": "editor"],
      type: "application/merge-patch+json")
    #expect(patched.code == 200)
    let refused = try await apply(server, service([["port": 80]], selector: ["a": "b"]), by: "one")
    #expect(refused.code == 409)
    #expect(refused.body["message"]?.stringValue?.contains(#"conflict with "editor" using v1: .spec.selector"#) == true)
  }

  @Test func needsAManager() async throws {
    let server = try makeServer()
    let result = try await server.send(.patch, path, service([]), type: "application/apply-patch+yaml")
    #expect(result.code == 400)
  }
}
