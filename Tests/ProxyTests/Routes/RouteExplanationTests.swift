import JSON
import Testing

@testable import Proxy
@testable import Routing

@Suite struct RouteExplanationTests {
  private typealias Documents = RouteDocuments

  private static let hosts: [JSONValue] = [
    Documents.host(
      name: "shop", domains: ["shop.example", "*.shop.example"],
      [
        [
          "name": "canary", "match": ["prefix": "/api", "headers": [["name": "x-canary", "exact_match": "true"]]],
          "route": [
            "weighted_clusters": [
              "clusters": [["name": "default/web", "weight": 90], ["name": "default/b", "weight": 10]]
            ], "prefix_rewrite": "/v2", "timeout": "2.5s",
            "retry_policy": ["retry_on": "5xx", "num_retries": 3],
          ],
          "request_headers_to_add": [["header": ["key": "x-route", "value": "%ROUTE_NAME%"]]],
        ],
        ["match": ["path": "/old"], "redirect": ["path_redirect": "/new"]],
        [
          "match": ["prefix": "/p", "runtime_fraction": ["default_value": ["numerator": 5]]],
          "direct_response": ["status": 418],
        ],
        ["match": ["prefix": "/p"], "route": ["cluster": "default/empty"]],
      ])
  ]

  private func explain(_ url: String, _ headers: [(String, String)] = []) throws -> RouteExplanation {
    var book = RouteBook()
    try book.setEndpoints(
      Documents.endpoints(["default/web": [("10.0.0.1", 80)], "default/b": [("fd00::1", 81)], "default/empty": []]))
    book.setListener(
      1,
      Documents.file(
        services: ["default/web", "default/b", "default/empty"], [Documents.listener(Self.hosts)]))
    #expect(book.answer.rejected.isEmpty)
    return try RouteExplanation(
      try #require(RouteQuestion(method: "GET", url: url, headers: headers.map { .init(name: $0.0, value: $0.1) })),
      try #require(book.snapshot.listeners[1]))
  }

  @Test func `a route with all that belongs to it`() throws {
    let answer = try explain("http://shop.example/api/x?y", [("X-Canary", "true")])
    #expect(answer.isServed && answer.route?.index == 0 && answer.host?.domain == "shop.example")
    let json = answer.json
    #expect(json["outcome"] == "forward" && json["timeout"] == "2.5s" && json["retries"] == "up to 3 more times on 5xx")
    #expect(json["route"]?["holds"] == ["the path begins with \"/api\"", "the header x-canary is \"true\""])
    let clusters = try #require(json["clusters"]?.arrayValue)
    #expect(clusters.compactMap { $0["name"]?.stringValue } == ["default/web", "default/b"])
    #expect(clusters.compactMap { $0["share"] } == [JSONValue.number(0.9), .number(0.1)])
    #expect(
      clusters[1]["endpoints"] == [
        ["address": "[fd00::1]:81", "weight": 1, "priority": 0, "health": "healthy", "reasons": []]
      ])
    #expect(clusters[0]["edits"]?["path"] == "/v2/x?y")
    #expect(
      clusters[0]["edits"]?["request"]?["add"]?.arrayValue?.contains(["name": "x-route", "value": "canary"]) == true)
  }

  @Test func `what came closest`() throws {
    let answer = try explain("http://a.shop.example/api", [])
    #expect(!answer.isServed && answer.host?.domain == "*.shop.example")
    #expect(answer.json["outcome"] == "no route" && answer.json["status"] == 404)
    #expect(answer.closest.first?.index == 0)
    #expect(answer.json["closest"]?.arrayValue?.first?["fails"] == ["the header x-canary is \"true\""])
  }

  @Test func `no virtual host`() throws {
    let answer = try explain("http://other/")
    #expect(answer.host == nil && !answer.isServed && answer.json["outcome"] == "no virtual host")
  }

  @Test func `the proxy's own answers`() throws {
    let redirect = try explain("http://shop.example/old")
    #expect(redirect.isServed && redirect.json["location"] == "http://shop.example/new")
    #expect(redirect.passedOver.map(\.index) == [0])
    let part = try explain("http://shop.example/p")
    #expect(part.route?.index == 2 && part.otherwise?.index == 3 && part.json["status"] == 418)
  }

  static let services: [(String, String, String, UInt16)] = [
    ("http://reviews/", "default", "default/reviews", 80),
    ("http://reviews:9080/x", "prod", "prod/reviews", 9080),
    ("https://reviews.prod/x", "default", "prod/reviews", 443),
    ("http://reviews.prod.svc.cluster.local:1?x", "default", "prod/reviews", 1),
  ]

  @Test(arguments: services)
  func `names of Services`(_ url: String, _ from: String, _ service: String, _ port: UInt16) throws {
    let question = try #require(RouteQuestion(method: "GET", url: url))
    let found = question.service(from: from)
    #expect(found.name == service && found.port == port)
    #expect(question.path.hasPrefix("/"))
  }

  @Test(arguments: ["reviews/", "ftp://reviews/", "http://", "http:///x"]) func `no address`(_ url: String) {
    #expect(RouteQuestion(method: "GET", url: url) == nil)
  }

  @Test func `who is led here`() throws {
    func listener(_ claims: JSONValue?) throws -> RoutedListener {
      var document = try JSONValue(
        parsing: Documents.file([Documents.listener([Documents.host([Documents.route()])])]))
      document["claims"] = claims
      var book = RouteBook()
      book.setListener(1, document.serialized())
      return try #require(book.snapshot.listeners[1])
    }
    #expect(try listener(nil).leads("default/web", port: 1))
    #expect(try !listener([]).leads("default/web", port: 1))
    #expect(try listener([["service": "default/web"]]).leads("default/web", port: 1))
    let ports = try listener([["service": "default/web", "ports": [80]]])
    #expect(ports.leads("default/web", port: 80) && !ports.leads("default/web", port: 81))
  }

  @Test func `the listener's filters are asked, too`() throws {
    let proxy = try RoutedListener.filtered(
      [
        [
          "name": "rules",
          "typed_config": [
            "@type": .string(Documents.prefix + "extensions.filters.http.rbac.v3.RBAC"),
            "rules": [
              "action": "DENY",
              "policies": [
                "shut": ["permissions": [["header": ["name": "x-a"]]], "principals": [["any": true]]]
              ],
            ],
          ],
        ]
      ], [Documents.route()])
    func explain(_ headers: [RouteQuestion.Header]) throws -> JSONValue {
      let question = try #require(RouteQuestion(method: "GET", url: "http://web/", headers: headers))
      return try RouteExplanation(question, proxy).json
    }
    let passed = try explain([])
    #expect(passed["outcome"] == "forward" && passed["served"] == true)
    #expect(passed["filters"]?.arrayValue?.first?["does"] == ["allows it: no policy matches"])
    let denied = try explain([.init(name: "X-A", value: "1")])
    #expect(denied["outcome"] == "filter" && denied["answeredBy"] == "rules" && denied["status"] == 403)
    #expect(denied["served"] == false)
    #expect(denied["filters"]?.arrayValue?.first?["does"] == ["denies it: by the policy \"shut\""])
    #expect(FilterEvent.allCases.allSatisfy { proxy.filters?.steps[0].counters[$0] == 0 })
  }
}

extension RoutedListener {
  fileprivate static func filtered(_ filters: [JSONValue], _ routes: [JSONValue]) throws -> RoutedListener {
    let prefix = RouteDocuments.prefix
    let router: JSONValue = [
      "name": "router", "typed_config": ["@type": .string(prefix + "extensions.filters.http.router.v3.Router")],
    ]
    let manager: JSONValue = [
      "@type": .string(prefix + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
      "route_config": ["name": "r", "virtual_hosts": [RouteDocuments.host(routes)]],
      "http_filters": .array(filters + [router]),
    ]
    let book = try RouteBook.with(
      [
        [
          "@type": .string(prefix + "config.listener.v3.Listener"), "name": "l",
          "filter_chains": [["filters": [["name": "http", "typed_config": manager]]]],
        ]
      ], ["default/web": [("10.0.0.1", 80)]])
    return try #require(book.snapshot.listeners[1])
  }
}
