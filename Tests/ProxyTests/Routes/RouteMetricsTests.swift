import JSON
import NodeMetrics
import Testing

@testable import Proxy
@testable import Routing

@Suite struct RouteMetricsTests {
  private typealias Documents = RouteDocuments

  private func store(_ routes: [JSONValue]) throws -> (RouteStore, RouteBook) {
    let store = RouteStore()
    var book = RouteBook(registry: store.registry)
    try book.setEndpoints(Documents.endpoints(["default/web": [("10.0.0.1", 80)], "default/b": [("10.0.0.2", 80)]]))
    book.setListener(
      1, Documents.file(services: ["default/web", "default/b"], [Documents.listener([Documents.host(routes)])]))
    store.replace(with: book.snapshot)
    return (store, book)
  }

  private func end(_ listener: RoutedListener, _ path: String, random: UInt64 = 0, _ status: UInt16, retries: Int = 0) {
    let question = RouteQuestion(method: "GET", url: "http://web\(path)")
    question?.withView { view in
      guard case .route(let choice) = listener.table.choose(view, random: random) else {
        return listener.unrouted.ended(status: status, nanoseconds: 700_000)
      }
      let cluster = choice.forwarding(view)?.cluster.flatMap(listener.cluster)
      let metrics = listener.metrics(choice, cluster: cluster)
      for _ in 0..<retries { metrics.retried() }
      metrics.ended(status: status, nanoseconds: 700_000)
    }
  }

  private static let weighted: JSONValue = [
    "name": "split", "match": ["path": "/w"],
    "route": [
      "weighted_clusters": ["clusters": [["name": "default/web", "weight": 1], ["name": "default/b", "weight": 1]]]
    ],
  ]
  private static let header: JSONValue = ["match": ["path": "/h"], "route": ["cluster_header": "user-agent"]]
  private static let direct: JSONValue = ["match": ["path": "/d"], "direct_response": ["status": 418]]

  @Test func `requests are counted by route and cluster`() throws {
    let (store, _) = try store([Self.weighted, Self.direct, Self.header])
    let listener = try #require(store.current.listeners[1])
    end(listener, "/w", random: 0, 200)
    end(listener, "/w", random: 0, 503, retries: 2)
    end(listener, "/w", random: 1, 200)
    end(listener, "/d", 418)
    end(listener, "/h", 503)
    end(listener, "/none", 404)
    end(listener, "/d", 0)
    let text = TextExposition.render(store.metrics)
    func line(_ route: String, _ cluster: String, _ code: String) -> String {
      let host = route.isEmpty ? "" : "all"
      return
        "martlet_route_requests_total{cluster=\"\(cluster)\",code=\"\(code)\",object=\"CiliumEnvoyConfig default/x\","
        + "route=\"\(route)\",virtual_host=\"\(host)\"} 1\n"
    }
    for expected in [
      line("split", "default/web", "2xx"), line("split", "default/web", "5xx"), line("split", "default/b", "2xx"),
      line("1", "", "4xx"), line("1", "", "none"), line("2", "", "5xx"), line("", "", "4xx"),
    ] { #expect(text.contains(expected), "\(expected) in\n\(text)") }
    #expect(text.contains("route=\"split\",virtual_host=\"all\"} 2\n"), "retries")
    #expect(text.contains("# TYPE martlet_route_duration_seconds histogram\n"))
    #expect(text.contains("le=\"0.0005\",object=\"CiliumEnvoyConfig default/x\",route=\"\",virtual_host=\"\"} 0\n"))
    #expect(text.contains("le=\"0.001\",object=\"CiliumEnvoyConfig default/x\",route=\"\",virtual_host=\"\"} 1\n"))
    #expect(text.contains("le=\"+Inf\""))
    #expect(
      text.contains("martlet_cluster_endpoints{cluster=\"default/b\",object=\"CiliumEnvoyConfig default/x\"} 1\n"))
  }

  @Test func `counters outlive the configuration, and go with the object`() throws {
    var (store, book) = try store([Self.direct])
    end(try #require(store.current.listeners[1]), "/d", 200)
    book.setListener(1, Documents.file([Documents.listener([Documents.host([Self.direct, Self.weighted])])]))
    book.setListener(
      1,
      Documents.file(
        services: ["default/web", "default/b"], [Documents.listener([Documents.host([Self.direct, Self.weighted])])]))
    store.replace(with: book.snapshot)
    end(try #require(store.current.listeners[1]), "/d", 200)
    #expect(store.registry.routes.first { $0.key.route == "0" }?.requests[2] == 2)
    book.setListener(1, nil)
    #expect(store.registry.routes.isEmpty && store.registry.clusters.isEmpty)
  }

  @Test func `there is an end to what is counted by itself`() {
    let registry = RouteRegistry()
    for index in 0..<RouteRegistry.maximumRoutes + 10 {
      _ = registry.route(.init(object: "o", virtualHost: "h", route: "\(index)", cluster: "c"))
    }
    #expect(registry.routes.count == RouteRegistry.maximumRoutes + 1)
    #expect(registry.route(.init(object: "o", virtualHost: "h", route: "new", cluster: "c")).key.route == "other")
    #expect(registry.route(.init(object: "o", virtualHost: "h", route: "5", cluster: "c")).key.route == "5")
  }
}
