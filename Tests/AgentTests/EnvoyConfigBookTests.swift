import JSON
import KubernetesAPI
import Policy
import Proxy
import Services
import Testing

@testable import Agent

/// What a node does for CiliumEnvoyConfigs, and what it says of them.
@Suite struct EnvoyConfigBookTests {
  /// A listener with one route to `cluster`, or with these routes.
  static func listener(_ name: String, to cluster: String = "default/web-v1", routes: String? = nil) -> String {
    let routes = routes ?? #"[{"match":{"prefix":"/"},"route":{"cluster":"\#(cluster)"}}]"#
    return """
      {"@type":"type.googleapis.com/envoy.config.listener.v3.Listener","name":"\(name)","filter_chains":[{"filters":[
       {"name":"h","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "route_config":{"name":"r","virtual_hosts":[{"name":"v","domains":["*"],"routes":\(routes)}]}}}]}]}
      """
  }

  private static func object(
    _ name: String, services: String = #"[{"name":"web"}]"#, resources: [String] = [listener("l")],
    created: String = "2026-01-01T00:00:00Z", extra: String = ""
  ) throws -> JSONValue {
    try JSONValue(
      parsing: """
        {"apiVersion":"cilium.io/v2","kind":"CiliumEnvoyConfig",
         "metadata":{"name":"\(name)","namespace":"default","creationTimestamp":"\(created)"},
         "spec":{"services":\(services),"backendServices":[{"name":"web-v1"},{"name":"web-v2"}]\(extra),
         "resources":[\(resources.joined(separator: ","))]}}
        """)
  }

  private static func key(_ name: String) -> ObjectKey {
    ObjectKey(kind: "CiliumEnvoyConfig", namespace: "default", name: name)
  }

  private static let web = ServiceName(namespace: "default", name: "web")

  /// As a reflector tells of an object.
  private static func told(_ object: JSONValue) -> ReflectorDelta<CiliumEnvoyConfig> {
    do throws(FieldError) { return .applied(try CiliumEnvoyConfig(object)) } catch {
      return .invalid(key(object[path: "metadata", "name"]?.stringValue ?? ""), raw: object, error)
    }
  }

  private static func book(_ objects: [JSONValue]) -> EnvoyConfigBook {
    var book = EnvoyConfigBook()
    for object in objects { book.apply(told(object)) }
    return book
  }

  private static func issues(_ status: PolicyObjectStatus?) -> [String] { status?.issues.map(\.description) ?? [] }

  @Test func aServiceIsLedToItsListener() throws {
    var book = Self.book([try Self.object("a")])
    let routes = book.routes()
    #expect(routes.redirects == [Self.web: [ServiceRedirect(listener: 1)]])
    #expect(routes.clusters == [1: ["default/web-v1"]])
    #expect(routes.status == [Self.key("a"): PolicyObjectStatus(state: .accepted)])
    let file = try #require(routes.files[1])
    let document = try JSONValue(parsing: file.content)
    #expect(document["number"] == 1 && document["listener"] == "l")
    #expect(document["services"] == ["default/web", "default/web-v1", "default/web-v2"])
    #expect(document["object"] == ["kind": "CiliumEnvoyConfig", "namespace": "default", "name": "a"])
    #expect(document["generation"]?.stringValue == file.generation)
    let owner = try #require(ListenerDocument.owner(file.content))
    #expect(owner == (1, ListenerID(object: Self.key("a"), listener: "l")))
  }

  @Test func portsAndListenersAreTheirs() throws {
    var book = Self.book([
      try Self.object(
        "a", services: #"[{"name":"web","ports":[80]},{"name":"web","ports":[81],"listener":"m"}]"#,
        resources: [Self.listener("l"), Self.listener("m", to: "default/web-v2:http")])
    ])
    let routes = book.routes()
    #expect(
      routes.redirects == [
        Self.web: [ServiceRedirect(ports: [80], listener: 1), ServiceRedirect(ports: [81], listener: 2)]
      ])
    #expect(routes.clusters == [1: ["default/web-v1"], 2: ["default/web-v2:http"]])
  }

  struct Refusal: CustomTestStringConvertible {
    var testDescription: String
    var services = #"[{"name":"web"}]"#
    var resources: [String]
    /// Empty: whatever is said.
    var issue = ""

    static let all: [Refusal] = [
      .init(
        testDescription: "another listener", services: #"[{"name":"web","listener":"m"}]"#,
        resources: [EnvoyConfigBookTests.listener("l")],
        issue: #"spec.services[0].listener: no Listener "m" among the resources"#),
      .init(testDescription: "no listener", resources: [], issue: "spec.resources: no Listener among them"),
      .init(
        testDescription: "a cluster that is none", resources: [EnvoyConfigBookTests.listener("l", to: "default/other")],
        issue: "spec.resources[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0]"
          + #".route.cluster: "default/other" is neither a Cluster of the resources nor a service of the object"#),
      .init(
        testDescription: "a field that is not followed",
        resources: [EnvoyConfigBookTests.listener("l", routes: #"[{"match":{"prefix":"/"},"filter_action":{}}]"#)]),
    ]
  }

  /// And what was followed before goes on.
  @Test(arguments: Refusal.all) func whatCanNotBeFollowedIsRejected(_ refusal: Refusal) throws {
    let bad = try Self.object("a", services: refusal.services, resources: refusal.resources)
    var book = Self.book([bad])
    var routes = book.routes()
    #expect(routes.redirects.isEmpty && routes.files.isEmpty)
    let status = try #require(routes.status[Self.key("a")])
    #expect(status.state == .rejected && status.issues.count == 1)
    if !refusal.issue.isEmpty { #expect(Self.issues(status) == [refusal.issue]) }

    book.apply(Self.told(try Self.object("a")))
    let good = book.routes()
    #expect(good.status[Self.key("a")]?.state == .accepted)
    book.apply(Self.told(bad))
    routes = book.routes()
    #expect(routes.redirects == good.redirects && routes.files == good.files)
    #expect(routes.status[Self.key("a")]?.state == .rejected)
    #expect(Self.issues(routes.status[Self.key("a")]).first?.hasSuffix("; the last good version keeps serving") == true)
  }

  @Test func anObjectThatCanNotBeReadIsRejected() throws {
    var book = Self.book([try Self.object("a", extra: #","unknown":1"#)])
    #expect(Self.issues(book.routes().status[Self.key("a")]) == ["spec.unknown: unknown field"])
  }

  /// The agent that starts knows the last good version from the one before.
  @Test func theLastGoodVersionOutlivesTheAgent() throws {
    var first = Self.book([try Self.object("a")])
    let before = first.routes()
    let versions = first.takeTouched().values.compactMap { $0 }
    let kept = try versions.map { try EnvoyConfig(document: JSONValue(parsing: $0.document)) }
    #expect(kept == versions && versions.count == 1)
    var second = EnvoyConfigBook(numbers: first.numbers, earlier: kept)
    let bad = try Self.object("a", resources: [])
    second.apply(.replaced([try CiliumEnvoyConfig(bad)]))
    let after = second.routes()
    #expect(after.files == before.files && after.redirects == before.redirects)
    #expect(after.status[Self.key("a")]?.state == .rejected)
    // One that is gone meanwhile is gone.
    var third = EnvoyConfigBook(earlier: kept)
    third.apply(ReflectorDelta<CiliumEnvoyConfig>.replaced([]))
    #expect(third.routes() == RoutesInForce())
    #expect(third.takeTouched() == [Self.key("a"): nil])
  }

  @Test func theOlderOfTwoHasThePort() throws {
    var book = Self.book([
      try Self.object("a", created: "2026-01-02T00:00:00Z"),
      try Self.object("b", services: #"[{"name":"web","ports":[80]}]"#, created: "2026-01-01T00:00:00Z"),
      try Self.object("c", services: #"[{"name":"web","ports":[81]}]"#, created: "2026-01-01T00:00:00Z"),
    ])
    let routes = book.routes()
    let redirects = try #require(routes.redirects[Self.web])
    #expect(redirects.map(\.ports) == [[80], [81], []])
    #expect(routes.status[Self.key("b")]?.state == .accepted && routes.status[Self.key("c")]?.state == .accepted)
    #expect(
      Self.issues(routes.status[Self.key("a")]) == [
        "spec.services[0]: port 80 of default/web is that of CiliumEnvoyConfig default/b"
      ])
    book.apply(ReflectorDelta<CiliumEnvoyConfig>.deleted(Self.key("b")))
    book.apply(ReflectorDelta<CiliumEnvoyConfig>.deleted(Self.key("c")))
    #expect(book.routes().status[Self.key("a")]?.state == .accepted)
  }

  @Test func onlyNodesThatAreMeant() throws {
    var book = Self.book([try Self.object("a", extra: #","nodeSelector":{"matchLabels":{"zone":"x"}}"#)])
    #expect(book.routes() == RoutesInForce())
    book.setNode(["zone": "x"])
    #expect(book.routes().redirects.count == 1)
  }

  @Test func withoutServicesNothingIsLed() throws {
    var book = Self.book([try Self.object("a", services: "[]")])
    let routes = book.routes()
    #expect(routes.files.isEmpty)
    #expect(
      Self.issues(routes.status[Self.key("a")]) == ["spec.services: is empty, so no traffic goes to the listeners"])
  }

  @Test func whatTheProxyRefusesGetsNoTraffic() throws {
    var book = Self.book([try Self.object("a")])
    let file = try #require(book.routes().files[1])
    func refusal(of generation: String?) -> [UInt32: ListeningAnswer.Rejection] {
      [1: .init(reason: "why", generation: generation)]
    }
    var routes = book.routes(ListeningAnswer(rejected: refusal(of: file.generation)))
    #expect(routes.redirects == [Self.web: [ServiceRedirect(listener: 0)]] && routes.files.count == 1)
    #expect(routes.status[Self.key("a")]?.state == .rejected)
    #expect(Self.issues(routes.status[Self.key("a")]) == ["spec.resources: refused by the proxy: why"])
    // Nor does a younger object get the port, whose status says that it is the other's.
    var both = Self.book([
      try Self.object("a"), try Self.object("b", created: "2026-01-02T00:00:00Z"),
    ])
    let number = try #require(both.routes().files.values.first { $0.id.object == Self.key("a") }?.number)
    let refused = both.routes(ListeningAnswer(rejected: [number: .init(reason: "why", generation: nil)]))
    #expect(refused.redirects[Self.web]?.first == ServiceRedirect(listener: 0))
    // It serves an older version.
    routes = book.routes(ListeningAnswer(listeners: [1: "old"], rejected: refusal(of: nil)))
    #expect(routes.redirects.count == 1 && routes.status[Self.key("a")]?.state == .rejected)
    // What it refused was another version.
    for answer in [
      ListeningAnswer(listeners: [1: file.generation], rejected: refusal(of: file.generation)),
      ListeningAnswer(rejected: refusal(of: "old")),
    ] {
      routes = book.routes(answer)
      #expect(routes.redirects.count == 1 && routes.status[Self.key("a")]?.state == .accepted)
    }
  }

  @Test func numbersAreKept() throws {
    var book = Self.book([try Self.object("a"), try Self.object("b", services: #"[{"name":"x"}]"#)])
    let first = book.routes()
    let numbers = book.numbers
    #expect(Set(numbers.values) == [1, 2])
    // Through a change, a deletion that is not over yet, and the agent's end.
    book.apply(Self.told(try Self.object("a", resources: [Self.listener("l", to: "default/web-v2")])))
    let second = book.routes()
    #expect(book.numbers == numbers && second.files.keys == first.files.keys)
    let changed = try #require(numbers[ListenerID(object: Self.key("a"), listener: "l")])
    #expect(second.files[changed]?.generation != first.files[changed]?.generation)
    book.apply(ReflectorDelta<CiliumEnvoyConfig>.deleted(Self.key("a")))
    _ = book.routes()
    #expect(book.numbers == numbers)
    var next = EnvoyConfigBook(numbers: numbers)
    next.apply(Self.told(try Self.object("c", services: #"[{"name":"y"}]"#)))
    #expect(next.routes().files.keys.first == 3)
    book.forget([changed])
    #expect(book.numbers.count == 1)
    book.apply(Self.told(try Self.object("d", services: #"[{"name":"z"}]"#)))
    #expect(book.routes().files.keys.contains(3), "not the one that was given back")
    // Nor by the next agent, for whose time connections may still know it.
    var another = EnvoyConfigBook(numbers: [:], lastNumber: book.lastNumber)
    another.apply(Self.told(try Self.object("e")))
    #expect(Array(another.routes().files.keys) == [4])
  }

  /// The proxy can not be told: no traffic is led to what it does not know.
  @Test func whatTheProxyCanNotBeToldIsNotInForce() throws {
    var book = Self.book([try Self.object("a")])
    _ = book.routes()
    var routes = book.routes(untold: [1: "disk full"])
    #expect(routes.redirects == [Self.web: [ServiceRedirect(listener: 0)]])
    #expect(Self.issues(routes.status[Self.key("a")]) == ["spec.resources: the proxy can not be told: disk full"])
    routes = book.routes(ListeningAnswer(listeners: [1: "old"]), untold: [1: "disk full"])
    #expect(routes.redirects == [Self.web: [ServiceRedirect(listener: 1)]])
    #expect(routes.status[Self.key("a")]?.state == .rejected)
  }

  @Test func endpointsOfOthersServicesAreRefused() throws {
    let cluster = #"""
      {"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c","type":"EDS",
       "eds_cluster_config":{"service_name":"kube-system/dns"}}
      """#
    var book = Self.book([try Self.object("a", resources: [Self.listener("l", to: "c"), cluster])])
    #expect(
      Self.issues(book.routes().status[Self.key("a")]) == [
        #"spec.resources[1]: endpoints of "kube-system/dns": neither a ClusterLoadAssignment of the resources "#
          + "nor a service of the object"
      ])
  }

  @Test func aClusterThatAHeaderNamesMayBeAnyOfThem() throws {
    let routes = #"[{"match":{"prefix":"/"},"route":{"cluster_header":"x-to"}}]"#
    var book = Self.book([try Self.object("a", resources: [Self.listener("l", routes: routes)])])
    #expect(book.routes().clusters == [1: ["default/web:*", "default/web-v1:*", "default/web-v2:*"]])
  }

  @Test func aChangeOfItsStatusIsNone() throws {
    var book = Self.book([try Self.object("a")])
    _ = book.takeTouched()
    var object = try Self.object("a")
    object["status"] = ["conditions": []]
    book.apply(Self.told(object))
    #expect(book.takeTouched().isEmpty)
  }
}
