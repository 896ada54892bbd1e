import Addressing
import JSON
import KubernetesAPI
import Services
import Testing

struct ServiceBookTests {
  private func name(_ name: String) -> ServiceName { ServiceName(namespace: "default", name: name) }

  private func book(_ services: [Service]) -> ServiceBook {
    var book = ServiceBook(node: NodeFacts(name: "a"))
    book.apply(.replaced(services))
    book.apply(ReflectorDelta<EndpointSlice>.replaced([]))
    _ = book.takeChanges()
    return book
  }

  @Test func aSliceCompilesItsServiceAlone() throws {
    var book = try book([
      Objects.service("one", clusterIPs: ["10.96.0.1"]), Objects.service("two", clusterIPs: ["10.96.0.2"]),
    ])
    book.apply(.applied(try Objects.slice("s", of: "two", [Objects.endpoint("10.0.0.1")])))
    #expect(Set(book.takeChanges().keys) == [name("two")])
    #expect(!book.hasChanges)
    book.apply(ReflectorDelta<EndpointSlice>.deleted(ObjectKey(kind: "EndpointSlice", namespace: "default", name: "s")))
    #expect(book.takeChanges()[name("two")]??.inside == ["10.96.0.2:80/TCP": []])
  }

  @Test func slicesMayComeBeforeTheirService() throws {
    var book = book([])
    book.apply(.applied(try Objects.slice("s", of: "web", [Objects.endpoint("10.0.0.1")])))
    #expect(book.takeChanges().isEmpty)
    book.apply(.applied(try Objects.service("web")))
    #expect(book.takeChanges()[name("web")]??.inside["10.96.0.10:80/TCP"] == ["10.0.0.1:8080"])
  }

  @Test func aDeletedServiceIsToldOnce() throws {
    var book = try book([Objects.service("web")])
    book.apply(ReflectorDelta<Service>.deleted(ObjectKey(kind: "Service", namespace: "default", name: "web")))
    let changes = book.takeChanges()
    #expect(changes.count == 1)
    #expect(changes[name("web")] == .some(nil))
  }

  @Test func theOlderServiceHasTheFrontend() throws {
    let external = #""externalIPs":["198.51.100.7"]"#
    let younger = try Objects.service("a", clusterIPs: ["10.96.0.1"], spec: external, created: "2026-02-01T00:00:00Z")
    let older = try Objects.service("b", clusterIPs: ["10.96.0.2"], spec: external, created: "2026-01-01T00:00:00Z")
    var book = book([younger])
    #expect(book.compiled(name("a"))?.inside.count == 2)
    book.apply(.applied(older))
    let changes = book.takeChanges()
    #expect(Set(changes.keys) == [name("a"), name("b")])
    #expect(changes[name("b")]??.inside.count == 2)
    #expect(changes[name("a")]??.inside.keys.sorted() == ["10.96.0.1:80/TCP"])
    #expect(
      changes[name("a")]??.problems == [
        ServiceProblem(
          path: "spec.externalIPs[0]", message: "198.51.100.7:80/TCP is that of Service default/b")
      ])
    book.apply(ReflectorDelta<Service>.deleted(older.key))
    #expect(book.takeChanges()[name("a")]??.inside.count == 2)
  }

  @Test func nobodyTakesAnAddressOfTheClusterByWritingIt() throws {
    let thief = try Objects.service(
      "thief", clusterIPs: ["10.96.0.1"], spec: #""externalIPs":["10.96.0.2"]"#, created: "2025-01-01T00:00:00Z")
    let victim = try Objects.service("victim", clusterIPs: ["10.96.0.2"], created: "2026-01-01T00:00:00Z")
    let book = try #require(Optional(book([thief, victim])))
    #expect(book.compiled(name("victim"))?.inside["10.96.0.2:80/TCP"] != nil)
    #expect(book.compiled(name("thief"))?.problems.count == 1)
  }

  @Test(arguments: [
    (
      #""externalIPs":["127.0.0.1"]"#, "{\"port\":80}", "spec.externalIPs[0]: 127.0.0.1 can not be reached from outside"
    ),
    ("", #"{"port":80,"protocol":"SCTP"}"#, "spec.ports[0].protocol: SCTP is not balanced"),
    ("", #"{"port":80,"nodePort":8080}"#, "spec.ports[0].nodePort: 8080 is outside of the node's range 30000-32767"),
  ])
  func problems(spec: String, ports: String, message: String) throws {
    let book = try book([Objects.service("web", type: "NodePort", spec: spec, ports: ports)])
    #expect(book.compiled(name("web"))?.problems.map(\.description) == [message])
  }

  @Test func wrongAnnotations() throws {
    var book = try book([Objects.service("web", annotations: ["service.martlet.io/lb-algorithm": "fastest"])])
    book.apply(.applied(try Objects.slice("s", of: "web", [], annotations: [EndpointWeight.annotation: "101"])))
    #expect(
      book.compiled(name("web"))?.problems.map(\.description) == [
        "metadata.annotations[service.martlet.io/lb-algorithm]: \"fastest\" is neither random nor maglev",
        "EndpointSlice s: metadata.annotations[service.martlet.io/weight]: \"101\" is not a number from 0 to 100",
      ])
  }

  @Test func whatCanNotBeReadGetsNothing() throws {
    let service = try Objects.service("web")
    var book = book([service])
    book.apply(ReflectorDelta<Service>.invalid(service.key, raw: [:], FieldError(path: "spec.type", message: "wrong")))
    let compiled = book.takeChanges()[name("web")] ?? nil
    #expect(compiled?.frontends == [])
    #expect(compiled?.problems == [ServiceProblem(path: "spec.type", message: "wrong")])
  }

  @Test func factsOfTheNodeCompileEverything() throws {
    var book = try book([Objects.service("web"), Objects.service("db", clusterIPs: ["10.96.0.11"])])
    book.set(NodeFacts(name: "a"))
    #expect(!book.hasChanges)
    book.set(NodeFacts(name: "a", zone: "z1"))
    #expect(book.takeChanges().count == 2)
  }
}
