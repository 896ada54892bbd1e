import Addressing
import KubernetesAPI
import Testing

@testable import Services

/// Services whose traffic the proxy routes, and who answers behind their ports.
@Suite struct RedirectTests {
  private static let web = ServiceName(namespace: "default", name: "web")
  private static let ports =
    #"{"name":"http","port":80,"protocol":"TCP"},{"name":"admin","port":81,"protocol":"TCP"},{"port":80,"protocol":"UDP"}"#

  private func book(_ service: Service, _ slices: [EndpointSlice] = []) -> ServiceBook {
    var book = ServiceBook(node: NodeFacts(name: "a"))
    book.apply(ReflectorDelta<Service>.applied(service))
    for slice in slices { book.apply(ReflectorDelta<EndpointSlice>.applied(slice)) }
    _ = book.takeChanges()
    return book
  }

  private func listeners(_ book: ServiceBook) -> [String: UInt32] {
    (book.compiled(Self.web)?.balancers ?? [:]).reduce(into: [:]) {
      $0["\($1.key.port.port)/\($1.key.port.protocol)"] = $1.value.listener
    }
  }

  @Test func portsOfTCPGoToTheListener() throws {
    var book = book(try Objects.service("web", ports: Self.ports))
    #expect(listeners(book).values.allSatisfy { $0 == 0 })
    book.set([Self.web: [ServiceRedirect(ports: [81], listener: 5), ServiceRedirect(listener: 6)]])
    #expect(book.takeChanges().keys.sorted() == [Self.web])
    #expect(listeners(book) == ["80/TCP": 6, "81/TCP": 5, "80/UDP": 0])
    // Told again, or of a Service that is not there, it is no change.
    let other = ServiceName(namespace: "default", name: "other")
    book.set([
      Self.web: [ServiceRedirect(ports: [81], listener: 5), ServiceRedirect(listener: 6)],
      other: [ServiceRedirect(listener: 7)],
    ])
    #expect(!book.hasChanges)
    book.apply(ReflectorDelta<Service>.applied(try Objects.service("other", clusterIPs: ["10.96.0.11"])))
    #expect(book.compiled(other)?.balancers.values.map(\.listener) == [7])
    book.set([:])
    #expect(book.takeChanges().keys.sorted() == [other, Self.web])
    #expect(listeners(book).values.allSatisfy { $0 == 0 })
  }

  @Test func whoAnswersBehindAPort() throws {
    let port = #"{"name":"http","port":8080,"protocol":"TCP"},{"name":"admin","port":8081,"protocol":"TCP"}"#
    let book = book(
      try Objects.service("web", ports: Self.ports),
      [
        try Objects.slice(
          "one", of: "web",
          [
            Objects.endpoint("10.0.0.2"), Objects.endpoint("10.0.0.1"), Objects.endpoint("10.0.0.3", state: "notReady"),
          ],
          port: port),
        try Objects.slice(
          "six", of: "web", [Objects.endpoint("fd00::1", state: "terminating")], port: port, family: "IPv6"),
      ])
    func endpoints(_ port: String?) -> [String]? {
      book.endpoints(of: Self.web, port: port)?.map { "\($0.address) \($0.port)" }
    }
    let all = ["10.0.0.1 8080", "10.0.0.2 8080", "fd00::1 8080"]
    #expect(endpoints("80").map(Set.init) == Set(all) && endpoints("http") == endpoints("80"))
    #expect(endpoints("admin")?.count == 3)
    #expect(endpoints(nil) == nil, "there are two")
    #expect(endpoints("82") == nil)
    #expect(book.endpoints(of: ServiceName(namespace: "default", name: "other"), port: nil) == nil)
    #expect(book.portNames(of: Self.web) == ["80", "http", "81", "admin"])
  }

  @Test func aServiceWithoutAddressOrEndpoints() throws {
    let headless = book(
      try Objects.service("web", clusterIPs: ["None"]),
      [try Objects.slice("one", of: "web", [Objects.endpoint("10.0.0.1")])])
    #expect(headless.endpoints(of: Self.web, port: nil)?.count == 1)
    #expect(book(try Objects.service("web")).endpoints(of: Self.web, port: "80") == [])
  }
}
