import JSON
import Testing

@testable import Routing

@Suite struct DecodingTests {
  static let route: JSONValue = ["match": ["prefix": "/"], "route": ["cluster": "default/a"]]

  @Test func `the examples of the documentation are read`() throws {
    let canary: JSONValue = [
      "match": ["prefix": "/", "headers": [["name": "x-canary", "exact_match": "true"]]],
      "route": ["cluster": "default/productpage-v2"],
    ]
    let rest: JSONValue = ["match": ["prefix": "/"], "route": ["cluster": "default/productpage-v1"]]
    let found = try resources(listener(configuration(canary, rest)))
    let first = try #require(found.listeners.first)
    let routes = try #require(found.routes(of: first))
    let table = try RouteTable(routes)
    #expect(table.decision("/", [("X-Canary", "true")]) == "default/productpage-v2")
    #expect(table.decision("/", [("x-canary", "false")]) == "default/productpage-v1")
    let names = ClusterNames(
      found, services: [1, 2].map { ServiceClusterName(namespace: "default", service: "productpage-v\($0)") })
    #expect(
      try names.targets(of: routes)["default/productpage-v1"]
        == .service(ServiceClusterName(namespace: "default", service: "productpage-v1")))
  }

  @Test func `routes by name`() throws {
    var routes = configuration(DecodingTests.route)
    routes["@type"] = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    let manager = listener(.null, manager: ["rds": ["routeConfigName": "routes"]])
    let found = try resources(manager, routes)
    #expect(found.routes(of: found.listeners[0])?.virtualHosts.count == 1)
    #expect(
      throws: FieldError(
        path:
          "spec.resources[0].filter_chains[0].filters[0].typed_config.rds.routeConfigName",
        message: "no RouteConfiguration \"routes\" among the resources")
    ) { try resources(manager) }
  }

  /// A route that is refused, the path below the route, and the reason.
  static let refusals: [(JSONValue, String, String)] = [
    (["match": ["prefix": "/"]], "", "needs route, redirect or direct_response"),
    (
      ["match": ["prefix": "/"], "route": ["cluster": "a"], "redirect": [:]], ".redirect",
      "can not be set together with route"
    ),
    (["match": [:], "route": ["cluster": "a"]], ".match", "needs prefix, path, path_separated_prefix or safe_regex"),
    (
      ["match": ["prefix": "/", "path": "/"], "route": ["cluster": "a"]], ".match.path",
      "can not be set together with prefix"
    ),
    (["match": ["prefix": 1], "route": ["cluster": "a"]], ".match.prefix", "must be a string, is integer"),
    (
      ["match": ["prefix": "/", "colour": 1], "route": ["cluster": "a"]], ".match.colour",
      "unknown field of envoy.config.route.v3.RouteMatch"
    ),
    (
      ["match": ["prefix": "/", "tls_context": [:]], "route": ["cluster": "a"]], ".match.tls_context", "not supported"
    ),
    (
      ["match": ["safe_regex": ["regex": "("]], "route": ["cluster": "a"]], ".match.safe_regex.regex",
      "invalid regular expression \"(\": missing ) at byte 0"
    ),
    (
      ["match": ["safe_regex": ["google_re2": ["max_program_size": 10], "regex": "a"]], "route": ["cluster": "a"]],
      ".match.safe_regex.google_re2.max_program_size", "unknown field"
    ),
    (
      ["match": ["prefix": "/", "case_sensitive": true, "caseSensitive": true], "route": ["cluster": "a"]],
      ".match.case_sensitive", "written twice, as case_sensitive and as caseSensitive"
    ),
    (
      ["match": ["prefix": "/", "headers": [["name": "a b"]]], "route": ["cluster": "a"]], ".match.headers[0].name",
      "\"a b\" is no header name"
    ),
    (
      ["match": ["prefix": "/"], "route": ["cluster": "a", "timeout": "5"]], ".route.timeout",
      "must be a duration like \"1.5s\", is \"5\""
    ),
    (
      ["match": ["prefix": "/"], "route": ["cluster": "a", "timeout": "-1s"]], ".route.timeout", "must not be negative"
    ),
    (
      ["match": ["prefix": "/"], "route": ["cluster": "a", "priority": "LOW"]], ".route.priority",
      "must be one of DEFAULT, HIGH"
    ),
    (["match": ["prefix": "/"], "route": ["cluster": "a", "cors": [:]]], ".route.cors", "not supported"),
    (
      ["match": ["prefix": "/"], "route": ["weighted_clusters": ["clusters": [["name": "a"]]]]],
      ".route.weighted_clusters.clusters", "weights must add up to 1 to 4294967295"
    ),
    (
      ["match": ["prefix": "/"], "route": ["cluster": "a", "retry_policy": ["retry_on": "5xx,whim"]]],
      ".route.retry_policy.retry_on", "\"whim\" is no condition that is supported"
    ),
    (
      [
        "match": ["prefix": "/"], "route": ["cluster": "a"],
        "request_headers_to_add": [["header": ["key": "host", "value": "b"]]],
      ], ".request_headers_to_add[0].header.key", "the host header is changed by host_rewrite_literal"
    ),
    (
      [
        "match": ["prefix": "/"], "route": ["cluster": "a"],
        "response_headers_to_add": [["header": ["key": "a", "value": "%START_TIME%"]]],
      ], ".response_headers_to_add[0].header.value", "variable %START_TIME% is not supported"
    ),
    (
      [
        "match": ["prefix": "/"],
        "route": ["cluster": "a", "regex_rewrite": ["pattern": ["regex": "a"], "substitution": "\\1"]],
      ], ".route.regex_rewrite.substitution", "\\1 is no group of \"a\", which has 0"
    ),
    (
      ["match": ["prefix": "/"], "direct_response": ["status": 99]], ".direct_response.status",
      "must be from 200 to 599, is 99"
    ),
    (
      ["match": ["prefix": "/"], "redirect": ["host_redirect": "a\r\nb"]], ".redirect.host_redirect",
      "space or control character in a host"
    ),
  ]

  @Test(arguments: refusals.indices) func `a refusal names the field`(_ index: Int) {
    let (route, path, message) = DecodingTests.refusals[index]
    let error = #expect(throws: FieldError.self) {
      try RouteConfiguration(JSONCursor(configuration(route), path: "route_config"))
    }
    #expect(error?.path == "route_config.virtual_hosts[0].routes[0]\(path)")
    #expect(error?.message == message)
  }

  /// Resources that are refused as a whole.
  static let resourceRefusals: [(JSONValue, String, String)] = [
    (["name": "a"], "spec.resources[0][@type]", "required"),
    (
      ["@type": "type.googleapis.com/envoy.config.core.v3.Node"], "spec.resources[0][@type]",
      "envoy.config.core.v3.Node is not supported; Listener, RouteConfiguration, Cluster and ClusterLoadAssignment are"
    ),
    (
      listener(
        configuration(),
        manager: [
          "http_filters": [
            [
              "name": "r",
              "typed_config": ["@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"],
            ]
          ]
        ]),
      "spec.resources[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config",
      "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb is not supported yet"
    ),
    (
      listener(configuration(), manager: ["normalize_path": true]),
      "spec.resources[0].filter_chains[0].filters[0].typed_config.normalize_path", "not supported"
    ),
    (
      [
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "a", "lb_policy": "MAGLEV",
        "maglev_lb_config": ["table_size": "10"],
      ],
      "spec.resources[0].maglev_lb_config.table_size", "must be a prime number"
    ),
  ]

  @Test(arguments: resourceRefusals.indices) func `a resource that is refused`(_ index: Int) {
    let (value, path, message) = DecodingTests.resourceRefusals[index]
    #expect(throws: FieldError(path: path, message: message)) { try resources(value) }
  }

  @Test func `what asks for nothing is no refusal`() throws {
    _ = try resources(
      listener(configuration(), manager: ["normalize_path": false, "access_log": [], "tracing": .null]))
  }

  @Test func `a cluster that nothing declares`() throws {
    let routes = try RouteConfiguration(JSONCursor(configuration(DecodingTests.route), path: "r"))
    let names = ClusterNames(try resources(), services: [])
    #expect(
      throws: FieldError(
        path: "r.virtual_hosts[0].routes[0].route.cluster",
        message: "\"default/a\" is neither a Cluster of the resources nor a service of the object")
    ) { try names.targets(of: routes) }
  }

  @Test func durations() {
    #expect(Duration(protobuf: "1.5s") == .milliseconds(1500))
    #expect(Duration(protobuf: "-0.000000001s") == .nanoseconds(-1))
    #expect(Duration(protobuf: "315576000000s") == .seconds(315_576_000_000))
    for text in ["", "s", "1", ".5s", "1.s", "1.0000000001s", "315576000001s", "1e3s", "+1s", "1 s"] {
      #expect(Duration(protobuf: text) == nil, "\(text)")
    }
  }

  @Test func `a domain or a name that is there twice`() throws {
    let host: JSONValue = ["name": "a", "domains": ["x.example"]]
    let other: JSONValue = ["name": "b", "domains": ["X.example"]]
    #expect(throws: FieldError(path: "virtual_hosts[1].domains[0]", message: "\"X.example\" is a domain twice")) {
      try table(["virtual_hosts": [host, other]])
    }
    #expect(throws: FieldError(path: "virtual_hosts[1].name", message: "\"a\" is a virtual host twice")) {
      try table(["virtual_hosts": [host, ["name": "a", "domains": ["y"]]]])
    }
  }
}
